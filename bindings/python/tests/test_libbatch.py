"""The Python package: operations, codecs and stores written in Python, threads and asyncio."""

import array
import asyncio
import gc
import os
import select
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

import libbatch
from libbatch import Changed, Error, Processor, Unchanged, ffi, lib


def click(counter):
    counter["clicks"] = counter.get("clicks", 0) + 1
    return counter["clicks"]


def clicks(counter):
    return counter.get("clicks", 0)


def refuse(counter):
    raise ValueError("sold out")


@pytest.fixture
def store():
    with libbatch.memory_store() as opened:
        yield opened


@pytest.fixture
def processor(store):
    with Processor(store, window=None) as started:
        yield started


def pairs(store, **options):
    """Batches of exactly two operations, whenever they come."""
    return Processor(store, window=3600, ops_max=2, **options)


def test_constants_are_functions_too():
    assert lib.batch_forever() == lib.batch_window_none() == 2**64 - 1
    options = ffi.new("batch_options *")
    assert lib.batch_options_init(options, ffi.sizeof("batch_options")) == lib.BATCH_OK
    assert options.size == ffi.sizeof("batch_options")
    assert options.sessions != 0 and options.shards == 0  # no sessions at all would be something else
    assert ffi.string(lib.batch_version()).decode().count(".") == 2
    assert ffi.sizeof("batch_op") == 80


# ---- Operations --------------------------------------------------------------------------------


def test_values_are_returned_once_stored(tmp_path):
    path = tmp_path / "counters.db"
    for expected in (1, 2):
        with libbatch.sqlite_store(path) as store, Processor(store, window=None) as counters:
            assert counters.run("front-page", click) == expected
            assert counters.run(b"\0\xff", click) == expected
            assert counters.run("", click) == expected


def test_what_is_not_changed_is_not_saved(processor):
    processor.run("a", click)
    assert processor.read("a", clicks) == 1
    assert processor.run("a", lambda counter: Unchanged("nothing")) == "nothing"
    with pytest.raises(ValueError, match="sold out"):
        processor.run("a", refuse)
    processor.stop()
    stats = processor.stats()
    assert stats["batches_saved"] == 1
    assert stats["operations_completed"][-lib.BATCH_OK] == 4
    assert stats["save_ns"]["count"] == 1


def test_one_failure_is_not_that_of_the_batch(store):
    with pairs(store) as processor:
        good, bad = processor.submit("a", click), processor.submit("a", refuse)
        assert good.result() == 1
        with pytest.raises(ValueError):
            bad.result()


def test_futures(processor):
    futures = [processor.submit(f"key {i % 3}", click) for i in range(300)]
    assert sorted(future.result() for future in futures) == sorted(list(range(1, 101)) * 3)
    assert not futures[0].cancel()


def test_many_threads(processor):
    def many():
        for _ in range(50):
            processor.run("a", click)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert processor.read("a", clicks) == 400


def test_replays_count_only_the_last_run(store):
    runs = []

    def disturbed(counter):  # another process saves while the first run is under way
        runs.append(clicks(counter))
        if len(runs) == 1:
            assert lib.batch_memory_write(store.pointer, b"a", 1, b'{"clicks":100}', 14) == lib.BATCH_OK
        return click(counter)

    def refused_at_first(counter):
        if clicks(counter) < 100:
            raise ValueError
        return click(counter)

    with pairs(store, replays_max=1) as processor:
        futures = [processor.submit("a", disturbed), processor.submit("a", refused_at_first)]
        assert [future.result() for future in futures] == [101, 102]
        assert runs == [0, 100]


# ---- Transactions ------------------------------------------------------------------------------


def pay(cents):
    def function(source, target):
        if source.get("cents", 100) < cents:
            raise ValueError("too little")
        source["cents"] = source.get("cents", 100) - cents
        target["cents"] = target.get("cents", 100) + cents
        return source["cents"]

    return function


def cents_of(processor, key):
    return processor.read(key, lambda account: account.get("cents", 100))


def test_transactions(tmp_path):
    path = tmp_path / "accounts.db"
    with libbatch.sqlite_store(path) as store, Processor(store, window=None) as accounts:
        assert accounts.transact(["ann", "bob"], pay(70)) == 30
        with pytest.raises(ValueError, match="too little"):
            accounts.transact(["ann", "bob"], pay(70))
        futures = [accounts.submit_transaction(["bob", f"key {i}"], pay(1)) for i in range(20)]
        assert sorted(future.result() for future in futures) == list(range(150, 170))
        assert accounts.transact(("ann",), lambda ann: ann["cents"]) == 30
    with libbatch.sqlite_store(path) as store, Processor(store, window=None) as accounts:
        assert cents_of(accounts, "ann") == 30 and cents_of(accounts, "bob") == 150
        assert cents_of(accounts, "key 7") == 101


def test_transactions_say_what_they_changed(store):
    with Processor(store, window=None) as accounts:
        accounts.transact(["a", "b"], lambda a, b: Unchanged(a.update(cents=1)))
        assert accounts.transact(["c", "d", "e"], lambda c, d, e: Changed(d.update(cents=2), 1)) is None
        with pytest.raises(IndexError):
            accounts.transact(["f", "g"], lambda f, g: Changed("nothing", 0, 2))
    stored = [lib.batch_memory_read(store.pointer, key, 1, ffi.NULL, 0, ffi.NULL, ffi.NULL) for key in
              (b"a", b"b", b"c", b"d", b"e", b"f", b"g")]
    assert stored == [False, False, False, True, False, False, False]


def test_transactions_count_only_the_last_run(store):
    runs = []

    def disturbed(source, target):  # another process saves while the first run is under way
        runs.append(source.get("cents", 100))
        if len(runs) == 1:
            assert lib.batch_memory_write(store.pointer, b"a", 1, b'{"cents":500}', 13) == lib.BATCH_OK
        return pay(500)(source, target)

    with Processor(store, window=None, replays_max=5) as accounts:
        assert accounts.transact(["a", "b"], disturbed) == 0
        assert cents_of(accounts, "b") == 600
    assert runs == [100, 500]


def test_transactions_that_are_refused(store):
    with Processor(store, window=None) as accounts:
        with pytest.raises(Error, match="given twice") as caught:
            accounts.transact(["a", "a"], pay(1))
        assert caught.value.name == "BATCH_INVALID"
        with pytest.raises(Error) as caught:
            accounts.submit_transaction([], pay(1))
        assert caught.value.name == "BATCH_INVALID"
        assert not accounts._state.requests
        with pytest.raises(Error) as caught:
            accounts.transact(["a", "b"], pay(1), start_by_ns=1)
        assert caught.value.name == "BATCH_EXPIRED"
        with pytest.raises(Error) as caught:
            accounts.run("a", lambda a: accounts.transact(["a", "b"], pay(1)))
        assert caught.value.name == "BATCH_DEADLOCK"


# ---- Errors ------------------------------------------------------------------------------------


def test_a_key_that_changes_meanwhile_is_the_one_that_was_given(store):
    with pairs(store) as processor:
        key, part = bytearray(b"ann"), bytearray(b"ann")
        futures = [processor.submit(key, click), processor.submit_transaction([part], click)]
        key[:] = part[:] = b"bob"
        assert [each.result() for each in futures] == [1, 2]
    with Processor(store, window=None) as processor:
        assert processor.read("ann", clicks) == 2
        assert processor.read("bob", clicks) == 0
        with pytest.raises(TypeError):
            processor.run(3, click)


def test_errors_have_what_the_library_says(processor):
    with pytest.raises(Error, match="start_by_ns") as caught:
        processor.run("a", click, start_by_ns=1)
    assert (caught.value.status, caught.value.name) == (lib.BATCH_EXPIRED, "BATCH_EXPIRED")
    assert not caught.value.may_be_applied and not caught.value.is_retryable
    with pytest.raises(Error) as caught:
        processor.run("k" * 70000, click)
    assert caught.value.name == "BATCH_INVALID"
    with pytest.raises(Error) as caught:
        processor.submit("k" * 70000, click)
    assert caught.value.name == "BATCH_INVALID"


def test_conflicts_are_retryable(store, processor):
    def disturbed(counter):
        assert lib.batch_memory_write(store.pointer, b"a", 1, b"{}", 2) == lib.BATCH_OK
        return click(counter)

    with pytest.raises(Error) as caught:
        processor.run("a", disturbed)
    assert caught.value.name == "BATCH_CONFLICT" and caught.value.is_retryable


def test_what_would_wait_for_itself_is_an_error(processor):
    with pytest.raises(Error) as caught:
        processor.run("a", lambda counter: processor.run("b", click))
    assert caught.value.name == "BATCH_DEADLOCK"
    with pytest.raises(Error) as caught:
        processor.run("a", lambda counter: processor.close())
    assert caught.value.name == "BATCH_DEADLOCK"
    assert processor.run("a", click) == 1


def test_what_cannot_be_opened_says_why(tmp_path, store):
    with pytest.raises(Error, match="no/folder") as caught:
        libbatch.sqlite_store(tmp_path / "no/folder/a.db")
    assert caught.value.name == "BATCH_STORE_FAILED" and caught.value.store_code != 0
    with pytest.raises(Error) as caught:
        libbatch.postgres_store("host=/no/such/folder")
    assert caught.value.name == "BATCH_STORE_FAILED"
    with pytest.raises(Error, match="shards"):
        Processor(store, shards=100000)
    with pytest.raises(AttributeError):
        Processor(store, no_such_option=1)


def test_a_path_is_that_of_the_file(tmp_path):
    for name in (b"bytes.db", b"\xff.db"):
        libbatch.sqlite_store(os.fsencode(tmp_path) + b"/" + name).close()
    libbatch.sqlite_store(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe.db")).close()
    assert {b"bytes.db", b"\xff.db", b"\xfe.db"} <= set(os.listdir(os.fsencode(tmp_path)))
    with pytest.raises(TypeError):
        libbatch.sqlite_store(5)


def test_a_nul_does_not_cut_off_a_path_or_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="path"):
        libbatch.sqlite_store("one\0two")
    with pytest.raises(ValueError, match="table"):
        libbatch.sqlite_store("one", table="a\0b")
    with pytest.raises(ValueError, match="conninfo"):
        libbatch.postgres_store("host=/nowhere\0host=/elsewhere")
    assert os.listdir() == []


def test_options_of_a_store(tmp_path):
    path = tmp_path / "a.db"
    with libbatch.sqlite_store(path, table="Zähler", state_column="was") as store:
        with Processor(store, window=None) as processor:
            processor.run("a", click)
    assert "Zähler".encode() in path.read_bytes()


# ---- Lifetimes ---------------------------------------------------------------------------------


def test_stop_completes_what_was_accepted(store):
    processor = Processor(store, window=3600)
    futures = [processor.submit("a", click) for _ in range(10)]
    assert processor.stop() == 0
    assert [future.result(0) for future in futures] == list(range(1, 11))
    with pytest.raises(Error) as caught:
        processor.submit("a", click)
    assert caught.value.name == "BATCH_STOPPED"
    with pytest.raises(Error) as caught:
        store.close()
    assert caught.value.name == "BATCH_BUSY"
    processor.close()
    processor.close()
    with pytest.raises(Error) as caught:
        processor.run("a", click)
    assert caught.value.name == "BATCH_STOPPED"


def test_a_processor_that_nobody_holds_completes_what_it_accepted(store):
    processor = Processor(store, window=3600)
    future = processor.submit("a", click)
    del processor
    gc.collect()
    assert future.result(0) == 1


def test_also_if_an_operation_holds_it_last(store):
    processor = Processor(store, window=None)
    holder, let_go, collected = [processor], threading.Event(), threading.Event()
    weakref.finalize(processor, collected.set)

    def last(counter):
        let_go.wait()
        holder.clear()
        gc.collect()
        return click(counter), collected.is_set()

    future = processor.submit("a", last)
    del processor
    let_go.set()
    assert future.result() == (1, True)
    for thread in threading.enumerate():
        if thread.name == "libbatch-end":
            thread.join()
    with Processor(store, window=None) as again:
        assert again.read("a", clicks) == 1


def test_a_program_may_just_end(tmp_path):
    program = textwrap.dedent(
        """
        import sys, libbatch
        store = libbatch.sqlite_store(sys.argv[1])
        processor = libbatch.Processor(store, window=3600)
        future = processor.submit("a", lambda counter: counter.update(clicks=1))
        future.add_done_callback(lambda future: print("done", future.exception()))
        """
    )
    path = tmp_path / "a.db"
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done None\n", "")
    with libbatch.sqlite_store(path) as store, Processor(store, window=None) as processor:
        assert processor.read("a", clicks) == 1


# ---- Codecs and stores in Python ---------------------------------------------------------------


class Lines:
    """A codec whose resources are lists of lines."""

    def decode(self, data, key):
        if data == b"broken":
            raise ValueError("the lines are broken")
        if data is None:
            return [key.decode()]
        return data.decode().split("\n") if data else []

    def encode(self, resource):
        return "\n".join(resource).encode()


def test_a_child_leaves_what_its_parent_has_alone(tmp_path):
    program = """
        import asyncio, os, signal, sys, libbatch

        def click(counter):
            counter["clicks"] = counter.get("clicks", 0) + 1
            return counter["clicks"]

        def main(counters):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(counters.run_async("k", click)) == 1
            if (child := os.fork()) == 0:
                signal.alarm(20)
                try:
                    counters.run("k", click)
                except libbatch.Error as error:
                    sys.exit(3 if error.name == "BATCH_INVALID" else 4)
                sys.exit(5)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
            assert loop.run_until_complete(counters.run_async("k", click)) == 2
            loop.close()

        for driven in (False, True):
            with libbatch.sqlite_store(f"{sys.argv[1]}/{driven}.db") as store:
                with libbatch.Processor(store, window=None, driven=driven) as counters:
                    main(counters)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), tmp_path], timeout=60)
    assert done.returncode == 0


def test_codecs(store):
    with Processor(store, window=None, codec=Lines(), resource_cache_max=10) as processor:
        for _ in range(3):
            processor.run("a", lambda lines: lines.append("line"))
        assert processor.read("a", list) == ["a", "line", "line", "line"]
        processor.run("empty", lambda lines: lines.clear())
        assert processor.read("empty", list) == []
        lib.batch_memory_write(store.pointer, b"b", 1, b"broken", 6)
        with pytest.raises(Error, match="the lines are broken") as caught:
            processor.run("b", list)
        assert caught.value.name == "BATCH_LOAD_FAILED"
        with pytest.raises(Error, match="expected str instance") as caught:
            processor.run("c", lambda lines: lines.append(3))
        assert caught.value.name == "BATCH_SAVE_FAILED"
        assert processor.run("c", lambda lines: lines[0]) == "c"
        resources = processor._state.resources
    assert resources == {}


def test_what_a_codec_encodes_is_stored_whole(store):
    class Numbers:
        def decode(self, data, key):
            return array.array("I", data or bytes(40))

        def encode(self, numbers):
            return memoryview(numbers)

    class Number(Numbers):
        def encode(self, numbers):
            return 5

    def count(numbers):
        for i in range(10):
            numbers[i] = i

    with Processor(store, codec=Numbers(), window=None) as processor:
        processor.run("k", count)
    with Processor(store, codec=Numbers(), window=None) as processor:
        assert list(processor.read("k", lambda numbers: numbers)) == list(range(10))
    with Processor(store, codec=Number(), window=None) as processor:
        with pytest.raises(Error) as failed:
            processor.run("j", count)
        assert failed.value.status == lib.BATCH_SAVE_FAILED


def test_loads_and_saves_in_python():
    """All of the C interface can be reached: a processor over functions of one's own."""
    stored = {}

    def key_of(call):
        size = ffi.new("size_t *")
        key = lib.batch_call_key(call, size)
        return bytes(ffi.buffer(key, size[0]))

    @ffi.callback("int(batch_call *, void *, void *)")
    def load(call, resource, arg):
        ffi.cast("int64_t *", resource)[0] = stored.get(key_of(call), 0)
        return lib.BATCH_OK

    @ffi.callback("int(batch_call *, void *, void *)")
    def save(call, resource, arg):
        if key_of(call) == b"lost":
            lib.batch_call_set_error(call, 7, b"the connection is lost")
            return lib.BATCH_UNKNOWN
        stored[key_of(call)] = ffi.cast("int64_t *", resource)[0]
        return lib.BATCH_OK

    @ffi.callback("batch_verdict(void *, void *)")
    def add(resource, arg):
        ffi.cast("int64_t *", resource)[0] += 1
        return lib.BATCH_CHANGED

    options, result, started = ffi.new("batch_options *"), ffi.new("batch_result *"), ffi.new("batch_processor **")
    lib.batch_options_init(options, ffi.sizeof("batch_options"))
    options.load, options.save, options.resource_size = load, save, 8
    options.window_ns = lib.batch_window_none()
    assert lib.batch_processor_start(started, options, result) == lib.BATCH_OK
    op = ffi.new("batch_op *")
    for key in (b"a", b"a", b"lost"):
        lib.batch_op_init(op)
        kept = ffi.from_buffer(key)
        op.key, op.key_size, op.run = kept, len(key), add
        lib.batch_run(started[0], op, result)
    assert stored == {b"a": 2}
    assert result.status == lib.BATCH_UNKNOWN and result.store_code == 7
    assert b"the connection is lost" in ffi.string(result.message)
    assert lib.batch_processor_stop(started[0], lib.batch_forever()) == 0
    assert lib.batch_processor_free(started[0]) == lib.BATCH_OK


# ---- asyncio -----------------------------------------------------------------------------------


def test_asyncio(processor):
    async def one(i):
        value = await processor.run_async(f"key {i % 10}", click)
        assert threading.current_thread() is threading.main_thread()
        return value

    async def main():
        return await asyncio.gather(*(one(i) for i in range(1000)))

    assert sorted(asyncio.run(main())) == sorted(list(range(1, 101)) * 10)


def test_asyncio_transactions(processor):
    async def one(i):
        cents = await processor.transact_async(["bank", f"key {i % 10}"], pay(1))
        assert threading.current_thread() is threading.main_thread()
        return cents

    async def main():
        with pytest.raises(ValueError, match="too little"):
            await processor.transact_async(["bank", "a"], pay(101))
        with pytest.raises(Error, match="start_by_ns"):
            await processor.transact_async(["bank", "a"], pay(1), start_by_ns=1)
        return await asyncio.gather(*(one(i) for i in range(100)))

    assert sorted(asyncio.run(main())) == list(range(100))
    assert cents_of(processor, "key 3") == 110 and not processor._state.requests


def test_asyncio_transaction_cancel(store, processor):
    begun, go_on = threading.Event(), threading.Event()

    def held(counter):  # the worker: so nothing else begins
        begun.set()
        go_on.wait()
        return click(counter)

    async def main():
        running = processor.submit("a", held)
        await asyncio.get_running_loop().run_in_executor(None, begun.wait)
        waiting = asyncio.ensure_future(processor.transact_async(["a", "b"], pay(1)))
        await asyncio.sleep(0)  # it is submitted
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        return running.result()

    assert asyncio.run(main()) == 1
    assert cents_of(processor, "a") == cents_of(processor, "b") == 100


def test_asyncio_exceptions(store, processor):
    async def main():
        with pytest.raises(ValueError, match="sold out"):
            await processor.run_async("a", refuse)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await processor.run_async("a", lambda counter: next(iter([])))
        with pytest.raises(Error) as caught:
            await processor.run_async("a", click, start_by_ns=1)
        assert caught.value.name == "BATCH_EXPIRED"

    asyncio.run(main())


def test_asyncio_cancel(store):
    async def main():
        processor = pairs(store)
        first = asyncio.ensure_future(processor.run_async("a", click))
        await asyncio.sleep(0)  # it is submitted
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        others = [processor.submit("a", click), processor.submit("a", click)]
        await asyncio.get_running_loop().run_in_executor(None, processor.close)
        return [other.result(0) for other in others]

    assert asyncio.run(main()) in ([1, 2], [2, 3])  # it may have begun before


def test_asyncio_cancel_after_close(store):
    async def main():
        processor = Processor(store, window=None)
        task = asyncio.create_task(processor.run_async("k", click))
        await asyncio.sleep(0)
        processor.close()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_asyncio_loop_that_ends_first(store):
    processor = Processor(store, window=3600)
    requests = processor._state.requests
    has_run = threading.Event()

    def run(counter):
        has_run.set()
        return click(counter)

    async def main():
        asyncio.ensure_future(processor.run_async("a", run))
        await asyncio.sleep(0)
        await asyncio.to_thread(has_run.wait)  # so it can no longer be canceled
        assert len(requests) == 1

    asyncio.run(main())
    gc.collect()
    processor.close()
    asyncio.run(asyncio.sleep(0))
    with Processor(store, window=None) as again:
        assert asyncio.run(again.run_async("a", clicks)) == 1  # and what was left is tidied up
    assert not requests and not libbatch._Queue.left


# ---- Driven: operations on the thread that drives --------------------------------------------------


def threads_seen(seen):
    def operation(counter):
        seen.add(threading.get_ident())
        return click(counter)
    return operation


@pytest.fixture
def driven(store):
    with Processor(store, driven=True, sessions=0, window=None) as started:
        yield started


def test_operations_run_where_they_are_driven(store):
    threads, seen = len(os.listdir("/proc/self/task")), set()
    with Processor(store, driven=True, sessions=0, window=None) as driven:
        future = driven.submit("a", threads_seen(seen))
        assert not seen and not future.done()
        assert driven.drive() is None
        assert future.result(0) == 1
        assert driven.run("a", threads_seen(seen)) == 2  # drives
        assert seen == {threading.get_ident()}
        assert len(os.listdir("/proc/self/task")) <= threads


def test_a_driven_processor_is_waited_for_like_a_file(store):
    with Processor(store, driven=True, window=None) as processor:  # with sessions
        future = processor.submit("a", click)
        while not future.done():
            select.select([processor], [], [])
            processor.drive()
        assert future.result() == 1


def test_a_driven_processor_says_when_a_window_ends(store):
    with Processor(store, driven=True, sessions=0, window=3600) as processor:
        future = processor.submit("a", click)
        assert 0 < processor.drive() <= 3600
        assert not future.done()
    assert future.result(0) == 1


def test_asyncio_drives(driven):
    async def main():
        seen, order = set(), []

        def operation(counter):  # beside the rest of the program, with no lock
            seen.add(threading.get_ident())
            order.append(clicks(counter))
            return click(counter)

        assert await asyncio.gather(*(driven.run_async("a", operation) for _ in range(500))) == list(range(1, 501))
        assert order == list(range(500))
        with pytest.raises(ValueError):
            await driven.run_async("a", refuse)
        assert seen == {threading.get_ident()}

    for _ in range(2):  # loops
        asyncio.run(main())
        driven.run("a", lambda counter: counter.clear())


def test_an_operation_does_not_drive(driven):
    def drive_again(counter):
        with pytest.raises(Error) as caught:
            driven.drive()
        assert caught.value.status == lib.BATCH_DEADLOCK
        with pytest.raises(Error) as caught:
            driven.run("b", click)
        assert caught.value.status == lib.BATCH_DEADLOCK
        return click(counter)

    assert driven.run("a", drive_again) == 1


def test_a_driven_processor_that_is_dropped_completes_everything(store):
    processor = Processor(store, driven=True, window=None)
    future = processor.submit("a", click)
    del processor
    gc.collect()
    assert future.result(0) == 1


def test_a_driven_processor_that_another_thread_drops(store):
    made = []

    def make():
        processor = Processor(store, driven=True, window=None)
        made.extend([processor.submit("a", click), processor])

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    made.pop()
    gc.collect()
    assert made[0].result(0) == 1


def test_only_a_driven_processor_is_driven(processor):
    for call in (processor.drive, processor.fileno):
        with pytest.raises(Error) as caught:
            call()
        assert caught.value.status == lib.BATCH_INVALID
