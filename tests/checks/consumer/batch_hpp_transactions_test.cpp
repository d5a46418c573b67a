// batch_hpp_transactions_test.cpp: transaction.hpp in C++17. Prints what fails.
#include "batch_hpp_test.h"

#include <batch/transaction.hpp>

#include <string>
#include <vector>

namespace
{

struct account {
    long long cents = 100;
};

using accounts = batch::resources<account>;

struct transfer {
    long long cents;
    bool operator()(accounts of) const
    {
        CHECK(of.size() == 2);
        if (of[0].cents < cents)
            return false;
        of.change(0).cents -= cents;
        of.change(1).cents += cents;
        return true;
    }
};

long long cents_of(batch::processor<account> &p, std::string_view name)
{
    return p.read(name, [](const account &a) { return a.cents; });
}

void test_values_are_returned_once_all_is_stored()
{
    batch::store store = batch::open(batch_memory_open);
    {
        batch::processor<account> p(store, fast());
        CHECK(batch::run(p, {"ann", "bob"}, transfer{70}));
        CHECK(!batch::run(p, {"ann", "bob"}, transfer{70}));
        std::string to = "cy";
        CHECK(batch::run(p, {"bob", to}, transfer{170}));
        batch::run(p, {"ann", "bob", "cy"}, [](accounts of) { of.change(2).cents++; });
        CHECK(batch::run(p, {"ann"}, [](accounts of) { return std::to_string(of[0].cents); }) ==
              "30");
        const auto sum = [](accounts of) { return of[0].cents + of[1].cents + of[2].cents; };
        CHECK(batch::run(p, {"ann", "bob", "cy"}, sum) == 301);
        CHECK(batch::run(p, {"", "ann"}, [](accounts of) { return of[0].cents; }) == 100);
    }
    account stored;
    CHECK(batch_memory_read(store.get(), "cy", 2, &stored, sizeof stored, nullptr, nullptr));
    CHECK(stored.cents == 271);
    CHECK(!batch_memory_read(store.get(), "", 0, nullptr, 0, nullptr, nullptr)); // only read
}

void test_keys_may_be_as_many_as_there_are()
{
    batch::processor<account> p(batch::open(batch_memory_open), fast());
    std::vector<std::string> names;
    for (int i = 0; i < BATCH_PARTS_MAX; i++)
        names.push_back("account " + std::to_string(i));
    std::vector<std::string_view> keys(names.begin(), names.end());
    auto give_all = [](accounts of) {
        for (std::size_t i = 1; i < of.size(); i++) {
            of.change(0).cents += of[i].cents;
            of.change(i).cents = 0;
        }
        return of[0].cents;
    };
    CHECK(batch::run(p, keys.data(), keys.size(), give_all) == 100 * BATCH_PARTS_MAX);
    CHECK(batch::submit(p, keys.data(), keys.size(), give_all).get() == 100 * BATCH_PARTS_MAX);
    keys.push_back("one too many");
    batch::error e = error_of([&] { batch::run(p, keys.data(), keys.size(), give_all); });
    CHECK(e.status() == BATCH_INVALID && std::string(e.what()).find("64") != std::string::npos);
    e = error_of([&] { batch::submit(p, keys.data(), keys.size(), give_all).get(); });
    CHECK(e.status() == BATCH_INVALID);
}

void test_what_it_throws_is_rethrown_and_nothing_changes()
{
    batch::processor<account> p(batch::open(batch_memory_open), fast());
    auto refuse = [](accounts of) {
        of.change(0);
        of.change(1);
        throw refusal("no such account");
    };
    bool caught = false;
    try {
        batch::run(p, {"ann", "bob"}, refuse);
    } catch (const refusal &e) {
        caught = std::string(e.what()) == "no such account";
    }
    CHECK(caught);
    std::future<void> refused = batch::submit(p, {"ann", "bob"}, refuse);
    try {
        refused.get();
        CHECK(false);
    } catch (const refusal &) {
    }
    CHECK(p.stop(BATCH_FOREVER) == 0);
    batch_stats stats = BATCH_STATS_INIT;
    CHECK(batch_processor_stats(p.get(), &stats) == BATCH_OK);
    CHECK(stats.batches_saved == 0);
}

void test_a_replay_forgets_what_was_thrown_before()
{
    batch::store store = batch::open(batch_memory_open);
    batch::options options = fast();
    options.replays_max = 5;
    batch::processor<account> p(store, options);
    int runs = 0;
    auto disturbed = [&](accounts of) { // another process saves while the first run is under way
        account other;
        other.cents = 1000;
        if (++runs == 1)
            CHECK(batch_memory_write(store.get(), "ann", 3, &other, sizeof other) == BATCH_OK);
        if (of[0].cents < 1000) {
            of.change(1).cents++; // so that it has something to save, and meets the conflict
            return std::string("poor");
        }
        of.change(0).cents -= 1000;
        of.change(1).cents += 1000;
        return std::string("rich");
    };
    CHECK(batch::run(p, {"ann", "bob"}, disturbed) == "rich" && runs == 2);
    CHECK(cents_of(p, "ann") == 0 && cents_of(p, "bob") == 1100);
}

void test_errors_say_why()
{
    batch::processor<account> p(batch::open(batch_memory_open), fast());
    batch::error e = error_of([&] { batch::run(p, {"ann", "ann"}, transfer{1}); });
    CHECK(e.status() == BATCH_INVALID &&
          std::string(e.what()).find("given twice") != std::string::npos);
    e = error_of([&] { batch::run(p, {"ann", "bob"}, transfer{1}, 1); });
    CHECK(e.status() == BATCH_EXPIRED);
    e = error_of([&] { batch::submit(p, {"ann", "bob"}, transfer{1}, 1).get(); });
    CHECK(e.status() == BATCH_EXPIRED);
    e = error_of([&] {
        p.run("ann", [&](account &) { return batch::run(p, {"bob", "cy"}, transfer{1}); });
    });
    CHECK(e.status() == BATCH_DEADLOCK);
    CHECK(p.stop(BATCH_FOREVER) == 0);
    e = error_of([&] { batch::submit(p, {"ann", "bob"}, transfer{1}).get(); });
    CHECK(e.status() == BATCH_STOPPED && !e.may_be_applied());
}

void test_futures_own_their_keys()
{
    batch::processor<account> p(batch::open(batch_memory_open), fast());
    std::vector<std::future<bool>> futures;
    for (int i = 0; i < 100; i++) {
        std::string from = "a key that is too long for its string to hold it without memory";
        futures.push_back(batch::submit(p, {from, "bob", ""}, [](accounts of) {
            of.change(0).cents--;
            of.change(1).cents++;
            return of[2].cents == 100;
        }));
    }
    for (std::future<bool> &future : futures)
        CHECK(future.get());
    CHECK(cents_of(p, "bob") == 200);
}

// One operation for each, until the processor stops.
batch::options patient()
{
    batch::options options;
    options.window_ns = 3'600'000'000'000u;
    options.deadline_ns = 7'200'000'000'000u;
    options.ops_max = 1;
    return options;
}

// A save that waits for the test.
struct held_store : lost_store {
    std::promise<void> begun, go_on;
    static held_store *of(batch_store *self)
    {
        return reinterpret_cast<held_store *>(self);
    }
    held_store()
    {
        store.saves_units = 1;
        store.save = [](batch_store *self, void *, batch_call *const *calls, size_t size) {
            of(self)->begun.set_value();
            of(self)->go_on.get_future().wait();
            for (size_t i = 0; i < size; i++)
                batch_call_finish(calls[i], BATCH_OK);
        };
    }
};

void test_what_waits_can_be_canceled()
{
    held_store held;
    batch::options options = patient();
    options.sessions = 1;
    batch::processor<account> p(batch::store(&held.store, batch_store_close), options);
    batch::future<void> running = p.submit("ann", [](account &a) { a.cents++; });
    held.begun.get_future().wait();
    batch::future<void> operation = p.submit("ann", [](account &a) { a.cents++; });
    batch::future<bool> transaction = batch::submit(p, {"ann", "bob"}, transfer{1});
    operation.cancel();
    transaction.cancel();
    held.go_on.set_value();
    CHECK(error_of([&] { operation.get(); }).status() == BATCH_CANCELED);
    CHECK(error_of([&] { transaction.get(); }).status() == BATCH_CANCELED);
    operation.cancel(); // too late: nothing happens
    running.get();
    running.cancel();
    batch::future<void>().cancel();
}

} // namespace

int main()
{
    test_values_are_returned_once_all_is_stored();
    test_keys_may_be_as_many_as_there_are();
    test_what_it_throws_is_rethrown_and_nothing_changes();
    test_a_replay_forgets_what_was_thrown_before();
    test_errors_say_why();
    test_futures_own_their_keys();
    test_what_waits_can_be_canceled();
    std::puts("transaction.hpp does what it says");
}
