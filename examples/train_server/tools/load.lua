-- load.lua: bookings for train-server, for wrk. Each request is a new booking, to be answered
-- 200: booking n takes the next free seat of train n mod TRAINS, for a person who books nothing
-- else. Once all seats of the trains are sold, the next generation of trains follows.
--
--   wrk -t2 -c1000 -d5s --latency -s load.lua http://127.0.0.1:8080 -- [trains=100] [seats=30]
--       [threads=2] [run=NAME] [record=PREFIX]
--
--   trains   that are booked at a time, by all threads together
--   seats    of each train, as the server has it
--   threads  of wrk, as -t says
--   run      a part of all names, so that one store can be loaded twice; default: the time
--   record   write the bodies of all responses 200 to PREFIX.<thread>, for train-audit; takes some
--            of wrk's time

local started = 0

function setup(thread)
   thread:set("id", started)
   started = started + 1
end

function init(args)
   local options = { trains = 100, seats = 30, threads = 2, run = os.time() }
   for _, arg in ipairs(args) do
      local name, value = arg:match("^(%w+)=(.*)$")
      if not name then
         error("load.lua: not understood: " .. arg)
      end
      options[name] = tonumber(value) or value
   end
   if id >= options.threads then
      error("load.lua: wrk has more threads than threads=" .. options.threads)
   end
   trains, seats, threads = options.trains, options.seats, options.threads
   name = options.run .. "-"
   tail = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\n\r\n"
   n = id -- threads alternate
   if options.record then
      record(options.record .. "." .. id)
   end
end

function request()
   local round = math.floor(n / trains)
   local text = "GET /book?train=" .. name .. n % trains .. "-" .. math.floor(round / seats) ..
      "&person=" .. name .. n .. "&seat=" .. round % seats .. tail
   n = n + threads
   return text
end

function record(path)
   local file = assert(io.open(path, "w"))
   file:setvbuf("full", 1048576) -- written out when wrk exits
   function response(status, headers, body)
      if status == 200 then
         file:write(body)
      end
   end
end
