"""libbatch from Python: batch concurrent operations on one key into a single load and save.

    import libbatch

    def click(counter):
        counter["clicks"] = counter.get("clicks", 0) + 1
        return counter["clicks"]

    with libbatch.sqlite_store("counters.db") as store, libbatch.Processor(store) as counters:
        print(counters.run("front-page", click))    # returned once it is on disk

An operation is a function that gets the resource, alone, and may change it in place. What it returns
is returned once it is durable; what it raises is raised instead, and counts as no change: so raise
before changing anything. To return without a change, return Unchanged(value), or use read(). It runs
on the worker of the processor, with the interpreter's lock; it must not wait, for a processor least of
all, and may run more than once (replays_max): only the last run counts.

    with libbatch.Processor(store) as accounts:
        accounts.transact(["ann", "bob"], lambda ann, bob: pay(ann, bob, 100))

A transaction is a function that gets the resources of several keys; they are stored all or not at all.

With Processor(store, driven=True) there is no worker: operations run on the thread that calls
drive(), or on the one of the asyncio loop that waits for them in run_async. There they may use
whatever else that thread uses.

After os.fork() the child leaves the stores and processors of its parent alone: there they raise an Error,
and close() does nothing.

Whatever fails raises libbatch.Error. All of the C interface, which batch.h and its neighbours describe,
is in `ffi` and `lib`.
"""

import asyncio
import concurrent.futures
import itertools
import json
import os
import threading
import weakref

from ._native import ffi, lib

__all__ = ["Changed", "Error", "JSON", "Processor", "Store", "Unchanged", "ffi", "lib", "memory_store",
           "postgres_store", "sqlite_store"]


def _text(c_string):
    return ffi.string(c_string).decode("utf-8", "replace")


class Error(Exception):
    """What failed. `status` is one of lib.BATCH_..., `name` its name; `store_code` is the store's own."""

    def __init__(self, status, message=None, store_code=0):
        super().__init__(message or _text(lib.batch_status_text(status)))
        self.status = status
        self.name = _text(lib.batch_status_name(status))
        self.store_code = store_code

    @property
    def may_be_applied(self):
        """False: certainly not applied."""
        return lib.batch_may_be_applied(self.status)

    @property
    def is_retryable(self):
        return lib.batch_is_retryable(self.status)


def _check(status, result=None):
    if status != lib.BATCH_OK:
        message = _text(result.message) if result is not None and result.status == status else None
        raise Error(status, message, result.store_code if message else 0)


class Unchanged:
    """Return it from an operation that has not changed its resource."""

    def __init__(self, value=None):
        self.value = value


class Changed:
    """Return it from a transaction that has changed only some resources: those with these numbers."""

    def __init__(self, value, *numbers):
        self.value = value
        self.numbers = numbers


class JSON:
    """A codec, the default: resources are what json makes of what is stored. `new` makes the first."""

    def __init__(self, new=dict):
        self.new = new

    def decode(self, data, key):
        """`data` is None if nothing is stored under `key`. May raise: the load fails."""
        return self.new() if data is None else json.loads(data)

    def encode(self, resource):
        """Bytes. May raise: the save fails."""
        return json.dumps(resource, separators=(",", ":")).encode()


# ---- Stores ------------------------------------------------------------------------------------


class Store:
    """Where resources are kept. Close it after its processors."""

    def __init__(self, pointer):
        self.pointer = pointer
        self.pid = os.getpid()

    def close(self):
        if self.pointer is not None:
            if self.pid == os.getpid():  # else its connections are those of the parent
                _check(lib.batch_store_close(self.pointer))
            self.pointer = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _fill(struct, values):
    """Set members of a struct by name; the strings are returned, to be kept as long as the struct."""
    kept = []
    for name, value in values.items():
        if isinstance(value, str):
            value = ffi.new("char[]", _c_string(value.encode(), name))
            kept.append(value)
        setattr(struct, name, value)
    return kept


def _c_string(text, name):
    """Bytes without a NUL, which would end the string in C."""
    if b"\0" in text:
        raise ValueError(f"{name}: has a NUL")
    return text


def _open(open_function, init, struct, path, options):
    opened = ffi.new("batch_store **")
    result = ffi.new("batch_result *")
    given = ffi.new(struct + " *")
    _check(init(given, ffi.sizeof(struct)))
    kept = _fill(given, options)
    _check(open_function(opened, path, given, result), result)
    del kept
    return Store(opened[0])


def memory_store():
    opened = ffi.new("batch_store **")
    _check(lib.batch_memory_open(opened))
    return Store(opened[0])


def sqlite_store(path, **options):
    """`options` are the members of batch_sqlite_options, in sqlite.h."""
    return _open(lib.batch_sqlite_open, lib.batch_sqlite_options_init, "batch_sqlite_options",
                 _c_string(os.fsencode(path), "path"), options)


def postgres_store(conninfo, **options):
    """`options` are the members of batch_postgres_options, in postgres.h."""
    return _open(lib.batch_postgres_open, lib.batch_postgres_options_init, "batch_postgres_options",
                 _c_string(conninfo.encode(), "conninfo"), options)


# ---- Callbacks ---------------------------------------------------------------------------------
#
# Nothing may be raised out of them. A resource of the library is a number, the name of a _Resource.


class _Resource:
    def __init__(self, value):
        self.value = value
        self.encoded = None


class _State:
    """What callbacks need of a processor: everything but its pointer, so that it can be collected."""

    def __init__(self, store, codec):
        self.store = store
        self.pid = os.getpid()  # a child has no worker
        self.codec = codec
        self.resources = {}
        self.numbers = itertools.count(1)
        self.requests = set()  # submitted and not done
        self.handle = ffi.new_handle(self)
        self.loop = None  # that drives the processor: a weak reference
        self.fd = -1

    def join_loop(self, loop, pointer):
        """Let this loop drive."""
        if self.loop is not None and self.loop() is loop:
            return
        self.leave_loop()
        self.fd = lib.batch_processor_fd(pointer)
        self.loop = weakref.ref(loop)
        loop.add_reader(self.fd, lib.batch_processor_drive, pointer, 0)

    def leave_loop(self):
        loop = self.loop and self.loop()
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self.fd)
        self.loop = None


class _Request:
    """What operations and transactions have in common."""

    def __init__(self, state, function, done):
        self.state = state
        self.function = function
        self.done = done
        self.value = None
        self.exception = None
        self.handle = ffi.new_handle(self)

    def outcome(self, result):
        """(value, None), or (None, exception)."""
        if result.status != lib.BATCH_OK:
            return None, Error(result.status, _text(result.message), result.store_code)
        if self.exception is not None:
            return None, self.exception
        return self.value, None

    def complete(self, result):
        self.state.requests.discard(self)
        self.done(*self.outcome(result))


def _set_key(struct, key):
    """The bytes are returned, to be kept as long as the struct: a copy of what can change meanwhile."""
    kept = ffi.from_buffer(key.encode() if isinstance(key, str) else bytes(memoryview(key)))
    struct.key = kept
    struct.key_size = len(kept)
    return kept


class _Operation(_Request):
    def __init__(self, state, key, function, start_by_ns, done):
        super().__init__(state, function, done)
        self.op = ffi.new("batch_op *")
        lib.batch_op_init(self.op)
        self.key = _set_key(self.op, key)
        self.op.run = lib.libbatch_run
        self.op.done = lib.libbatch_done
        self.op.arg = self.handle
        self.op.start_by_ns = start_by_ns

    def run(self, processor, result):
        lib.batch_run(processor, self.op, result)

    def submit(self, processor):
        return lib.batch_submit(processor, self.op)

    def submit_to(self, processor, completions):
        return lib.batch_submit_to(processor, self.op, completions)

    def cancel(self, processor):
        lib.batch_cancel(processor, self.op)


class _Transaction(_Request):
    def __init__(self, state, keys, function, start_by_ns, done):
        super().__init__(state, function, done)
        self.parts = ffi.new("batch_part[]", len(keys))  # zero, as batch_part_init has them
        self.keys = [_set_key(part, key) for part, key in zip(self.parts, keys)]
        self.transaction = ffi.new("batch_transaction *")
        lib.batch_transaction_init(self.transaction)
        self.transaction.parts = self.parts
        self.transaction.parts_size = len(keys)
        self.transaction.run = lib.libbatch_transaction_run
        self.transaction.done = lib.libbatch_transaction_done
        self.transaction.arg = self.handle
        self.transaction.start_by_ns = start_by_ns

    def run(self, processor, result):
        lib.batch_transaction_run(processor, self.transaction, result)

    def submit(self, processor):
        return lib.batch_transaction_submit(processor, self.transaction)

    def submit_to(self, processor, completions):
        return lib.batch_transaction_submit_to(processor, self.transaction, completions)

    def cancel(self, processor):
        lib.batch_transaction_cancel(processor, self.transaction)


def _number_in(memory):
    return ffi.cast("uint64_t *", memory)


def _fail(call, status, exception):
    text = str(exception) or type(exception).__name__
    lib.batch_call_set_error(call, 0, text.encode("utf-8", "replace"))
    return status


@ffi.def_extern(error=lib.BATCH_LOAD_FAILED)
def libbatch_decode(call, memory, data, size, arg):
    try:
        state = ffi.from_handle(arg)
        key_size = ffi.new("size_t *")
        key = lib.batch_call_key(call, key_size)
        stored = None if data == ffi.NULL else bytes(ffi.buffer(data, size))
        value = state.codec.decode(stored, bytes(ffi.buffer(key, key_size[0])))
        number = next(state.numbers)
        state.resources[number] = _Resource(value)
        _number_in(memory)[0] = number
        return lib.BATCH_OK
    except BaseException as e:
        return _fail(call, lib.BATCH_LOAD_FAILED, e)


@ffi.def_extern(error=lib.BATCH_SAVE_FAILED)
def libbatch_encode(call, memory, ret_bytes, ret_size, arg):
    try:
        state = ffi.from_handle(arg)
        resource = state.resources[_number_in(memory)[0]]
        data = bytes(memoryview(state.codec.encode(resource.value)))  # of a number it would be zeros
        resource.encoded = ffi.new("char[]", data)  # with a NUL behind it: never no memory
        ret_bytes[0] = resource.encoded
        ret_size[0] = len(data)
        return lib.BATCH_OK
    except BaseException as e:
        return _fail(call, lib.BATCH_SAVE_FAILED, e)


@ffi.def_extern()
def libbatch_release(memory, arg):
    ffi.from_handle(arg).resources.pop(_number_in(memory)[0])


@ffi.def_extern(error=lib.BATCH_UNCHANGED)
def libbatch_run(memory, arg):
    operation = ffi.from_handle(arg)
    operation.value = operation.exception = None
    try:
        value = operation.function(operation.state.resources[_number_in(memory)[0]].value)
        if isinstance(value, Unchanged):
            operation.value = value.value
            return lib.BATCH_UNCHANGED
        operation.value = value
        return lib.BATCH_CHANGED
    except BaseException as e:
        operation.exception = e
        return lib.BATCH_UNCHANGED


@ffi.def_extern()
def libbatch_done(op, result):
    ffi.from_handle(op.arg).complete(result)


@ffi.def_extern()
def libbatch_transaction_run(memories, c_transaction):
    transaction = ffi.from_handle(c_transaction.arg)
    transaction.value = transaction.exception = None
    resources = transaction.state.resources
    numbers = range(len(transaction.parts))
    try:
        value = transaction.function(*[resources[_number_in(memories[i])[0]].value for i in numbers])
        if isinstance(value, Unchanged):
            value, numbers = value.value, ()
        elif isinstance(value, Changed):
            value, numbers = value.value, value.numbers
        for part in [transaction.parts[i] for i in numbers]:  # all of them exist
            part.changed = True
        transaction.value = value
    except BaseException as e:
        transaction.exception = e


@ffi.def_extern()
def libbatch_transaction_done(c_transaction, result):
    ffi.from_handle(c_transaction.arg).complete(result)


# ---- Event loops -------------------------------------------------------------------------------


class _Queue:
    """The completions of one event loop, which a file descriptor wakes; libbatch_done is called there."""

    of_loops = weakref.WeakKeyDictionary()
    left = []  # of loops that have gone before their operations were complete

    def __init__(self, loop):
        opened = ffi.new("batch_completions **")
        _check(lib.batch_completions_open(opened, ffi.NULL))
        self.pointer = opened[0]
        loop.add_reader(lib.batch_completions_fd(self.pointer), self.dispatch)
        weakref.finalize(loop, _Queue.close, self.pointer, os.getpid())

    def dispatch(self):
        lib.batch_completions_dispatch(self.pointer, 0, 0)

    @classmethod
    def of(cls, loop):
        if loop not in cls.of_loops:
            cls.of_loops[loop] = cls(loop)
            for pointer, pid in [cls.left.pop() for _ in range(len(cls.left))]:
                cls.close(pointer, pid)
        return cls.of_loops[loop]

    @classmethod
    def close(cls, pointer, pid):
        if pid != os.getpid():
            return
        lib.batch_completions_dispatch(pointer, 0, 0)
        if lib.batch_completions_close(pointer) == lib.BATCH_BUSY:
            cls.left.append((pointer, pid))


# ---- Processor ---------------------------------------------------------------------------------


def _end(pointer, state):
    """Complete everything and free the processor; `state` lives until then."""
    if state.pid != os.getpid():
        return
    status = lib.batch_processor_stop(pointer, 0)
    while status >= 0 and lib.batch_processor_drive(pointer, lib.batch_forever()) >= 0:
        pass  # it is driven, by nobody else any more
    if lib.batch_processor_stop(pointer, lib.batch_forever()) == lib.BATCH_DEADLOCK:
        # Collected in a callback.
        threading.Thread(target=_end, args=(pointer, state), name="libbatch-end").start()
        return
    state.leave_loop()
    lib.batch_processor_free(pointer)


class Processor:
    """Runs operations on the resources of a store.

    `window` is in seconds; None: as soon as the store is free (BATCH_WINDOW_NONE). `deadline`, for
    one load or save, is longer than in C: the codec waits for the interpreter's lock, for each key.
    `options` are the other members of batch_options, in batch.h: driven=True, and with a store that
    does not block, sessions=0. All methods may be called from any
    thread; run, read, stop and close wait, so not in an operation.
    """

    def __init__(self, store, *, codec=None, window=0.1, deadline=None, **options):
        state = _State(store, codec or JSON())
        codec_struct = ffi.new("batch_codec *")
        codec_struct.size = ffi.sizeof("batch_codec")
        codec_struct.decode_call = lib.libbatch_decode
        codec_struct.encode_call = lib.libbatch_encode
        codec_struct.release = lib.libbatch_release
        codec_struct.arg = state.handle
        given = ffi.new("batch_options *")
        _check(lib.batch_options_init(given, ffi.sizeof("batch_options")))
        _fill(given, options)
        given.window_ns = lib.batch_window_none() if window is None else round(window * 1e9)
        given.deadline_ns = round((deadline or max(10, 2 * (window or 0))) * 1e9)
        given.store = store.pointer
        given.codec = codec_struct
        given.resource_size = ffi.sizeof("uint64_t")
        started = ffi.new("batch_processor **")
        result = ffi.new("batch_result *")
        _check(lib.batch_processor_start(started, given, result), result)
        self.pointer = started[0]
        self._state = state
        self._is_driven = given.driven
        self._finalizer = weakref.finalize(self, _end, self.pointer, state)  # at exit, too

    def run(self, key, function, *, start_by_ns=0):
        """Run the operation and wait until it is durable."""
        return self._run(_Operation, key, function, start_by_ns)

    def read(self, key, function, *, start_by_ns=0):
        """The same for a function that changes nothing: nothing is saved for it."""
        return self.run(key, lambda resource: Unchanged(function(resource)), start_by_ns=start_by_ns)

    def transact(self, keys, function, *, start_by_ns=0):
        """Run function(*resources) on several keys and wait until all that it changed is durable: all
        resources, unless it returns Unchanged(value) or Changed(value, 0, 2)."""
        return self._run(_Transaction, keys, function, start_by_ns)

    def submit(self, key, function, *, start_by_ns=0):
        """Return at once, with a concurrent.futures.Future. It cannot be canceled."""
        return self._submit_future(_Operation, key, function, start_by_ns)

    def submit_transaction(self, keys, function, *, start_by_ns=0):
        """The same for a transaction."""
        return self._submit_future(_Transaction, keys, function, start_by_ns)

    async def run_async(self, key, function, *, start_by_ns=0):
        """run() for asyncio. If it is canceled, so is the operation, if it has not begun."""
        return await self._await(_Operation, key, function, start_by_ns)

    async def transact_async(self, keys, function, *, start_by_ns=0):
        """transact() for asyncio, likewise."""
        return await self._await(_Transaction, keys, function, start_by_ns)

    def drive(self, wait=0):
        """With driven=True: run what is due, here; if nothing is, wait for it, at most `wait` seconds
        (None: for ever). Returns the seconds until the next call; None: until something comes."""
        wait_ns = lib.batch_forever() if wait is None else round(wait * 1e9)
        due_ns = lib.batch_processor_drive(self._open(), wait_ns)
        if due_ns < 0:
            raise Error(due_ns)
        return None if due_ns == 2**63 - 1 else due_ns / 1e9

    def fileno(self):
        """With driven=True: readable, for select and its like, when drive() has something to do."""
        fd = lib.batch_processor_fd(self._open())
        if fd < 0:
            raise Error(fd)
        return fd

    def stop(self, timeout=None):
        """As batch_processor_stop: complete everything; after `timeout` seconds, return what is left."""
        timeout_ns = lib.batch_forever() if timeout is None else round(timeout * 1e9)
        left = lib.batch_processor_stop(self._open(), timeout_ns)
        if left < 0:
            raise Error(left)
        return left

    def close(self):
        """Complete everything, and free the processor. May be called again."""
        if self._finalizer.alive:
            if self._state.pid == os.getpid():
                self.stop()
            self._finalizer()

    def stats(self):
        """batch_stats of metrics.h, as a dict."""
        stats = ffi.new("batch_stats *")
        _check(lib.batch_stats_init(stats, ffi.sizeof("batch_stats")))
        _check(lib.batch_processor_stats(self._open(), stats))
        return _as_python(stats[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _open(self):
        if not self._finalizer.alive:
            raise Error(lib.BATCH_STOPPED)
        if self._state.pid != os.getpid():
            raise Error(lib.BATCH_INVALID, "the processor belongs to the process that has forked this one")
        return self.pointer

    def _run(self, kind, keys, function, start_by_ns):
        request = kind(self._state, keys, function, start_by_ns, None)
        result = ffi.new("batch_result *")
        request.run(self._open(), result)
        value, exception = request.outcome(result)
        if exception is not None:
            raise exception
        return value

    def _submit_future(self, kind, keys, function, start_by_ns):
        future = concurrent.futures.Future()
        future.set_running_or_notify_cancel()

        def done(value, exception):
            future.set_result(value) if exception is None else future.set_exception(exception)

        self._submit(kind(self._state, keys, function, start_by_ns, done))
        return future

    async def _await(self, kind, keys, function, start_by_ns):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        waiting = weakref.ref(future)  # gone if the loop ends before the operation

        def done(value, exception):
            future = waiting()
            if future is None or future.done():
                return
            if isinstance(exception, StopIteration):  # which asyncio cannot pass on
                exception = RuntimeError("the operation raised StopIteration")
            future.set_result(value) if exception is None else future.set_exception(exception)

        request = kind(self._state, keys, function, start_by_ns, done)
        if self._is_driven:
            self._state.join_loop(loop, self._open())
        self._submit(request, None if self._is_driven else _Queue.of(loop))
        try:
            return await future
        except asyncio.CancelledError:
            if self._finalizer.alive:  # else it is complete
                request.cancel(self.pointer)
            raise

    def _submit(self, request, queue=None):
        pointer = self._open()
        self._state.requests.add(request)
        status = request.submit(pointer) if queue is None else request.submit_to(pointer, queue.pointer)
        if status != lib.BATCH_OK:
            self._state.requests.discard(request)
            raise Error(status)


def _as_python(value):
    if not isinstance(value, ffi.CData):
        return value
    kind = ffi.typeof(value)
    if kind.kind == "array":
        return [_as_python(each) for each in value]
    return {name: _as_python(getattr(value, name)) for name, _ in kind.fields if name != "size"}
