// batch_hpp_coroutines_test.cpp: coroutines over batch.hpp, in C++20. Prints what fails.
#include "batch_hpp_test.h"

#include <batch/transaction.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#ifndef __cpp_impl_coroutine
#error "this compiler has no coroutines"
#endif

namespace
{

// A coroutine that begins at once and that nobody awaits.
struct detached {
    struct promise_type {
        detached get_return_object()
        {
            return {};
        }
        std::suspend_never initial_suspend() noexcept
        {
            return {};
        }
        std::suspend_never final_suspend() noexcept
        {
            return {};
        }
        void return_void()
        {
        }
        void unhandled_exception()
        {
            throw;
        }
    };
};

// A loop with a thread of its own: the one that calls run.
class loop
{
  public:
    void post(std::coroutine_handle<> handle)
    {
        std::lock_guard<std::mutex> guard(mutex_);
        ready_.push_back(handle);
        changed_.notify_one();
    }
    template <class Until> void run(Until until)
    {
        while (!until()) {
            std::unique_lock<std::mutex> lock(mutex_);
            changed_.wait(lock, [this] { return !ready_.empty(); });
            std::coroutine_handle<> handle = ready_.front();
            ready_.pop_front();
            lock.unlock();
            handle.resume();
        }
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::coroutine_handle<>> ready_;
};

detached transfer(batch::processor<counter> &p, std::promise<long long> &sum)
{
    std::string key = "a";
    long long first = co_await p.async(key, click);
    co_await p.async("b", [](counter &c) { c.clicks = 10; });
    try {
        co_await p.async("a", [](counter &) { throw refusal("sold out"); });
        CHECK(false);
    } catch (const refusal &) {
    }
    long long second = co_await p.async("b", click);
    sum.set_value(first + second);
}

void test_coroutines_go_on_when_their_operation_is_complete()
{
    std::promise<long long> sum;
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    transfer(p, sum);
    CHECK(sum.get_future().get() == 12);
}

detached failing(batch::processor<counter> &p, int &status)
{
    try {
        co_await p.async("a", click);
    } catch (const batch::error &e) {
        status = e.status();
    }
}

void test_coroutines_get_errors_also_of_what_is_refused()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    CHECK(p.stop(BATCH_FOREVER) == 0);
    int status = BATCH_OK;
    failing(p, status);
    CHECK(status == BATCH_STOPPED);

    lost_store lost;
    int lost_status = BATCH_OK;
    {
        batch::processor<counter> on_lost(batch::store(&lost.store, batch_store_close), fast());
        failing(on_lost, lost_status);
    }
    CHECK(lost_status == BATCH_UNKNOWN);
}

detached many(batch::processor<counter> &p, loop &l, int key, int &done)
{
    const std::thread::id here = std::this_thread::get_id();
    const std::string name = "key " + std::to_string(key % 10);
    for (int i = 0; i < 20; i++) {
        co_await p.async(name, click, [&l](std::coroutine_handle<> handle) { l.post(handle); });
        CHECK(std::this_thread::get_id() == here);
    }
    done++; // no lock: always on the thread of the loop
}

void test_coroutines_are_resumed_where_the_executor_says()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    loop l;
    int done = 0;
    for (int i = 0; i < 50; i++)
        many(p, l, i, done);
    l.run([&] { return done == 50; });
    CHECK(p.read("key 3", [](const counter &c) { return c.clicks; }) == 100);
}

detached many_on_queue(batch::processor<counter> &p, batch_completions *queue, int key, int &done)
{
    const std::thread::id here = std::this_thread::get_id();
    const std::string name = "key " + std::to_string(key % 10);
    for (int i = 0; i < 20; i++) {
        co_await p.async(name, click, queue);
        CHECK(std::this_thread::get_id() == here);
    }
    try {
        co_await p.async(
            name, [](counter &) { throw refusal("sold out"); }, queue);
    } catch (const refusal &) {
        done++;
    }
}

void test_coroutines_are_resumed_where_completions_are_dispatched()
{
    batch_completions *queue = nullptr;
    CHECK(batch_completions_open(&queue, nullptr) == BATCH_OK);
    {
        batch::processor<counter> p(batch::open(batch_memory_open), fast());
        int done = 0;
        for (int i = 0; i < 50; i++)
            many_on_queue(p, queue, i, done);
        while (done < 50)
            CHECK(batch_completions_dispatch(queue, 0, BATCH_FOREVER) >= 0);
        CHECK(p.read("key 3", [](const counter &c) { return c.clicks; }) == 100);
    }
    CHECK(batch_completions_close(queue) == BATCH_OK);
}

using counters = batch::resources<counter>;

long long click_both(counters of)
{
    of.change(1).clicks++;
    return ++of.change(0).clicks;
}

detached transactions_on_queue(batch::processor<counter> &p, batch_completions *queue, int &done)
{
    const std::thread::id here = std::this_thread::get_id();
    std::string name = "counter";
    for (int i = 0; i < 20; i++) {
        const std::string_view keys[] = {name, "sum"};
        co_await batch::async(p, keys, click_both, queue);
        CHECK(std::this_thread::get_id() == here);
    }
    const std::vector<std::string_view> keys = {name, "sum", "a"};
    try {
        co_await batch::async(
            p, keys.data(), keys.size(), [](counters) -> int { throw refusal("sold out"); }, queue);
    } catch (const refusal &) {
        done++;
    }
}

detached transactions_on_worker(batch::processor<counter> &p, std::promise<long long> &clicks)
{
    const std::string_view keys[] = {"counter", "sum"};
    auto both = batch::async(p, keys, click_both);
    long long first = co_await both;
    clicks.set_value(first + co_await batch::async(p, keys, click_both));
}

void test_transactions_are_awaited_too()
{
    batch_completions *queue = nullptr;
    CHECK(batch_completions_open(&queue, nullptr) == BATCH_OK);
    {
        batch::processor<counter> p(batch::open(batch_memory_open), fast());
        int done = 0;
        for (int i = 0; i < 50; i++)
            transactions_on_queue(p, queue, done);
        while (done < 50)
            CHECK(batch_completions_dispatch(queue, 0, BATCH_FOREVER) >= 0);
        CHECK(p.read("sum", [](const counter &c) { return c.clicks; }) == 1000);
        std::promise<long long> clicks;
        transactions_on_worker(p, clicks);
        CHECK(clicks.get_future().get() == 2003);
    }
    CHECK(batch_completions_close(queue) == BATCH_OK);
}

// Both on the thread of the queue: one waits, the other cancels it.
template <class Awaitable> detached waiting(Awaitable &awaitable, int &status)
{
    try {
        co_await awaitable;
        status = BATCH_OK;
    } catch (const batch::error &e) {
        status = e.status();
    }
}

void test_what_is_awaited_can_be_canceled()
{
    batch_completions *queue = nullptr;
    CHECK(batch_completions_open(&queue, nullptr) == BATCH_OK);
    {
        batch::processor<counter> p(batch::open(batch_memory_open), fast());
        std::promise<void> begun, go_on;
        p.submit("b", [&](counter &) { // the worker: so nothing else begins
            begun.set_value();
            go_on.get_future().wait();
        });
        begun.get_future().wait();
        auto one = p.async("a", click, queue);
        auto both = batch::async(p, {"a", "b"}, click_both, queue);
        int statuses[2] = {1, 1};
        waiting(one, statuses[0]);
        waiting(both, statuses[1]);
        one.cancel();
        both.cancel();
        go_on.set_value();
        while (statuses[0] > 0 || statuses[1] > 0)
            CHECK(batch_completions_dispatch(queue, 0, BATCH_FOREVER) >= 0);
        CHECK(statuses[0] == BATCH_CANCELED && statuses[1] == BATCH_CANCELED);
        CHECK(p.read("a", [](const counter &c) { return c.clicks; }) == 0);
    }
    CHECK(batch_completions_close(queue) == BATCH_OK);
}

detached escaping(batch::processor<counter> &p)
{
    co_await p.async("a", click);
    throw refusal("nobody catches it");
}

void test_what_escapes_a_resumed_coroutine_terminates()
{
    expect_terminate([] {
        batch::processor<counter> p(batch::open(batch_memory_open), fast());
        escaping(p);
    });
}

} // namespace

int main()
{
    test_what_escapes_a_resumed_coroutine_terminates(); // forks: while there is one thread
    test_coroutines_go_on_when_their_operation_is_complete();
    test_coroutines_get_errors_also_of_what_is_refused();
    test_coroutines_are_resumed_where_the_executor_says();
    test_coroutines_are_resumed_where_completions_are_dispatched();
    test_transactions_are_awaited_too();
    test_what_is_awaited_can_be_canceled();
    std::puts("coroutines over batch.hpp do what they say");
}
