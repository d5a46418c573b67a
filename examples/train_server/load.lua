-- load.lua: bookings for train-server, for wrk. Each request is a new booking, to be answered
-- 200: request i of a thread books the next free seat of its train i mod TRAINS, for a person who
-- books nothing else. Once all seats of the trains are sold, the next generation of trains follows.
-- Threads have trains of their own.
--
--   wrk -t2 -c1000 -d5s --latency -s load.lua http://127.0.0.1:8080 -- [trains=50] [seats=30]
--       [run=NAME] [record=PREFIX]
--
--   trains  that a thread books at a time (100 in all, with -t2)
--   seats   of each train, as the server was told
--   run     a part of all names, so that one file can be loaded twice; default: the time
--   record  write the bodies of all answers 200 to PREFIX.<thread>, for train-audit; takes some of
--           wrk's time

local threads = 0

function setup(thread)
   thread:set("id", threads)
   threads = threads + 1
end

function init(args)
   local options = { trains = 50, seats = 30, run = os.time() }
   for _, arg in ipairs(args) do
      local name, value = arg:match("^(%w+)=(.*)$")
      if not name then
         error("load.lua: not understood: " .. arg)
      end
      options[name] = tonumber(value) or value
   end
   trains, seats = options.trains, options.seats
   name = options.run .. "-" .. id .. "-"
   tail = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\n\r\n"
   i = 0
   if options.record then
      record(options.record .. "." .. id)
   end
end

function request()
   local round = math.floor(i / trains)
   local text = "GET /book?train=" .. name .. i % trains .. "-" .. math.floor(round / seats) ..
      "&person=" .. name .. i .. "&seat=" .. 1 + round % seats .. tail
   i = i + 1
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
