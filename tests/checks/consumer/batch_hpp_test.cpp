// batch_hpp_test.cpp: batch.hpp in C++17. Prints what fails.
#include "batch_hpp_test.h"

#include <functional>
#include <vector>

namespace
{

bool contains(const batch::error &e, const char *text)
{
    return std::string(e.what()).find(text) != std::string::npos;
}

uint64_t saves_of(const batch::processor<counter> &p)
{
    batch_stats stats = BATCH_STATS_INIT;
    CHECK(batch_processor_stats(p.get(), &stats) == BATCH_OK);
    return stats.batches_saved;
}

// Stop, so that what was submitted is complete and counted.
template <class T> void finish(batch::processor<T> &p)
{
    CHECK(p.stop(BATCH_FOREVER) == 0);
}

// ---- Plain types -------------------------------------------------------------------------------

void test_values_are_returned_once_stored()
{
    batch::store store = batch::open(batch_memory_open);
    {
        batch::processor<counter> p(store, fast());
        CHECK(p.run("a", click) == 1);
        CHECK(p.run("a", [](counter &c) { return ++c.clicks; }) == 2);
        CHECK(p.run("b", [](counter &c) { return std::to_string(++c.clicks); }) == "1");
        p.run("a", [](counter &c) { c.clicks = 7; }); // nothing to return
        CHECK(p.read("a", [](const counter &c) { return c.clicks; }) == 7);
        CHECK(p.run(std::string_view(), click) == 1); // the empty key is one
        CHECK(*p.run("a", [](counter &c) { return std::make_unique<long long>(c.clicks); }) == 7);
        const auto constant = [](counter &c) { return c.clicks; };
        CHECK(p.run("a", constant) == 7);
        std::function<long long(counter &)> function = click;
        CHECK(p.run("a", function) == 8);
        long long &(*reference)(counter &) = [](counter &c) -> long long & { return c.clicks; };
        CHECK(p.run("a", reference) == 8); // a copy: the resource is another's by now
    }
    counter stored{};
    size_t size = 0;
    CHECK(batch_memory_read(store.get(), "a", 1, &stored, sizeof stored, &size, nullptr));
    batch::processor<counter> again(store, fast());
    CHECK(again.run("a", click) == 9);
}

void test_verdicts_decide_what_is_saved()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    p.read("a", [](const counter &c) { return c.clicks; });
    CHECK(p.run("a", [](counter &) { return BATCH_UNCHANGED; }) == BATCH_UNCHANGED);
    CHECK(p.run("a", [](counter &c, batch_verdict &verdict) {
        verdict = BATCH_UNCHANGED;
        return c.clicks;
    }) == 0);
    CHECK(p.run("a", [](counter &c) {
        c.clicks++;
        return BATCH_CHANGED;
    }) == BATCH_CHANGED);
    CHECK(p.run("a", [](counter &c, batch_verdict &) { return ++c.clicks; }) == 2);
    p.run("a", [](counter &c) { c.clicks++; });
    finish(p);
    CHECK(saves_of(p) == 3);
}

void test_what_an_operation_throws_is_rethrown_and_changes_nothing()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    p.run("a", click);
    bool caught = false;
    try {
        p.run("a", [](counter &) -> int { throw refusal("sold out"); });
    } catch (const refusal &e) {
        caught = std::string(e.what()) == "sold out";
    }
    CHECK(caught);
    try {
        p.run("a", [](counter &) { throw 42; });
        CHECK(false);
    } catch (int number) {
        CHECK(number == 42);
    }
    finish(p);
    CHECK(saves_of(p) == 1);
}

struct moves_badly {
    moves_badly() = default;
    moves_badly(moves_badly &&)
    {
        throw refusal("moved");
    }
};

// What was changed is stored, although what it returned is lost.
void test_a_value_that_cannot_be_moved_takes_no_change_back()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    try {
        p.run("a", [](counter &c) {
            c.clicks = 5;
            return moves_badly();
        });
        CHECK(false);
    } catch (const refusal &) {
    }
    CHECK(p.read("a", [](const counter &c) { return c.clicks; }) == 5);
}

struct seats {
    int free = 40; // trivially copyable; but a new one is not zeroed
};

void test_new_resources_are_made_by_their_constructor()
{
    batch::store store = batch::open(batch_memory_open);
    batch::processor<seats> p(store, fast());
    CHECK(p.run("a", [](seats &s) { return --s.free; }) == 39);
    CHECK(batch_memory_write(store.get(), "b", 1, "short", 5) == BATCH_OK);
    batch::error e = error_of([&] { p.run("b", [](seats &) {}); });
    CHECK(e.status() == BATCH_LOAD_FAILED && contains(e, "stored are 5 bytes; the type has 4"));
    CHECK(e.is_retryable() && !e.may_be_applied());
}

// ---- Codecs ------------------------------------------------------------------------------------

struct book { // counted, and neither copied nor moved: it is made in place
    std::vector<std::string> lines;
    static inline std::atomic<int> alive{0};
    explicit book(const std::string &text)
    {
        for (std::size_t from = 0, to; (to = text.find('\n', from)) != text.npos; from = to + 1)
            lines.push_back(text.substr(from, to - from));
        alive++;
    }
    book(const book &) = delete;
    ~book()
    {
        alive--;
    }
};

} // namespace

template <> struct batch::codec<book> {
    static book create(std::string_view key)
    {
        if (key == "no book")
            throw std::runtime_error("there is no such book");
        return book("of " + std::string(key) + "\n");
    }
    static book decode(std::string_view bytes)
    {
        if (bytes == "broken")
            throw std::runtime_error("the book is broken");
        if (bytes == "strange")
            throw 42;
        return book(std::string(bytes));
    }
    static std::string encode(const book &b)
    {
        std::string bytes;
        for (const std::string &line : b.lines) {
            if (line == "unwritable")
                throw std::runtime_error("cannot be written");
            bytes += line + "\n";
        }
        return bytes;
    }
};

namespace
{

std::string add(book &b, const std::string &line)
{
    b.lines.push_back(line);
    return b.lines.front();
}

void test_a_codec_may_make_read_and_write_what_is_not_plain()
{
    batch::store store = batch::open(batch_memory_open);
    {
        batch::options options = fast();
        options.resource_cache_max = 10; // written several times, in one memory
        batch::processor<book> p(store, options);
        for (int i = 0; i < 3; i++)
            CHECK(p.run("ledger", [](book &b) { return add(b, "line"); }) == "of ledger");
        p.run("empty", [](book &b) { b.lines.clear(); });
        CHECK(p.run("empty", [](book &b) { return b.lines.size(); }) == 0);
    }
    CHECK(book::alive == 0);
    batch::processor<book> p(store, fast());
    CHECK(p.read("ledger", [](const book &b) { return b.lines.size(); }) == 4);
    CHECK(p.read("empty", [](const book &b) { return b.lines.size(); }) == 0);
}

void test_what_a_codec_throws_fails_the_load_or_the_save()
{
    batch::store store = batch::open(batch_memory_open);
    {
        batch::processor<book> p(store, fast());
        auto nothing = [](book &) {};
        batch::error e = error_of([&] { p.run("no book", nothing); });
        CHECK(e.status() == BATCH_LOAD_FAILED && contains(e, "there is no such book"));
        CHECK(batch_memory_write(store.get(), "a", 1, "broken", 6) == BATCH_OK);
        e = error_of([&] { p.run("a", nothing); });
        CHECK(e.status() == BATCH_LOAD_FAILED && contains(e, "the book is broken"));
        CHECK(batch_memory_write(store.get(), "a", 1, "strange", 7) == BATCH_OK);
        e = error_of([&] { p.run("a", nothing); });
        CHECK(e.status() == BATCH_LOAD_FAILED && contains(e, "no standard type"));
        e = error_of([&] { p.run("b", [](book &b) { add(b, "unwritable"); }); });
        CHECK(e.status() == BATCH_SAVE_FAILED && contains(e, "cannot be written"));
        CHECK(e.is_retryable() && !e.may_be_applied());
        CHECK(p.run("b", [](book &b) { return add(b, "writable"); }) == "of b");
    }
    CHECK(book::alive == 0);
}

// ---- Errors ------------------------------------------------------------------------------------

void test_what_cannot_be_opened_or_started_says_why()
{
    batch::error e = error_of([] { batch::open(batch_sqlite_open, "no/such/folder/a.db"); });
    CHECK(e.status() == BATCH_STORE_FAILED && contains(e, "no/such/folder"));
    CHECK(e.result.store_code != 0);
    batch_sqlite_options sqlite = BATCH_SQLITE_OPTIONS_INIT;
    e = error_of([&] { batch::open(batch_sqlite_open, "", &sqlite); });
    CHECK(e.status() == BATCH_INVALID && contains(e, "path"));
    e = error_of([] {
        batch::options options;
        options.shards = 100000;
        batch::processor<counter> p(batch::open(batch_memory_open), options);
    });
    CHECK(e.status() == BATCH_INVALID && contains(e, "shards"));
}

void test_conflicts_are_replayed_or_thrown()
{
    batch::store store = batch::open(batch_memory_open);
    int runs = 0;
    auto disturbed = [&](counter &c) { // another process saves while the first run is under way
        counter other{100};
        if (++runs == 1)
            CHECK(batch_memory_write(store.get(), "a", 1, &other, sizeof other) == BATCH_OK);
        return ++c.clicks;
    };
    {
        batch::processor<counter> p(store, fast());
        batch::error e = error_of([&] { p.run("a", disturbed); });
        CHECK(e.status() == BATCH_CONFLICT && e.is_retryable() && !e.may_be_applied());
    }
    runs = 0;
    batch::options options = fast();
    options.replays_max = 1;
    batch::processor<counter> p(store, options);
    CHECK(p.run("a", disturbed) == 101 && runs == 2); // only the last run counts
}

// A batch of exactly two operations, whenever they come.
batch::options pairs()
{
    batch::options options;
    options.window_ns = 3'600'000'000'000u;
    options.ops_max = 2;
    return options;
}

void test_a_replay_forgets_what_was_thrown_and_returned_before()
{
    batch::store store = batch::open(batch_memory_open);
    batch::options options = pairs();
    options.replays_max = 1;
    batch::processor<counter> p(store, options);
    int runs = 0;
    std::future<long long> first = p.submit("a", [&](counter &c) {
        counter other{100};
        if (++runs == 1)
            CHECK(batch_memory_write(store.get(), "a", 1, &other, sizeof other) == BATCH_OK);
        return ++c.clicks;
    });
    std::future<long long> second = p.submit("a", [&](counter &c) {
        if (c.clicks < 100)
            throw refusal("too few");
        return c.clicks;
    });
    CHECK(first.get() == 101 && second.get() == 101 && runs == 2);
}

void test_what_may_be_applied_is_an_error_that_says_so()
{
    lost_store lost;
    batch::processor<counter> p(batch::store(&lost.store, batch_store_close), fast());
    batch::error e = error_of([&] { p.run("a", click); });
    CHECK(e.status() == BATCH_UNKNOWN && e.may_be_applied() && !e.is_retryable());
}

// It was thrown because of a state that may not be the stored one.
void test_what_was_thrown_counts_only_if_all_was_saved()
{
    lost_store lost;
    batch::processor<counter> p(batch::store(&lost.store, batch_store_close), pairs());
    std::future<long long> first = p.submit("a", click);
    std::future<void> second = p.submit("a", [](counter &) { throw refusal("sold out"); });
    CHECK(error_of([&] { first.get(); }).status() == BATCH_UNKNOWN);
    CHECK(error_of([&] { second.get(); }).status() == BATCH_UNKNOWN);
}

void test_waiting_in_an_operation_is_a_deadlock_and_thrown_there()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    batch::error e = error_of([&] { p.run("a", [&](counter &) { return p.run("b", click); }); });
    CHECK(e.status() == BATCH_DEADLOCK);
    CHECK(p.run("a", [&](counter &) { return p.stop(BATCH_FOREVER); }) == BATCH_DEADLOCK);
}

void test_what_cannot_begin_in_time_expires()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    batch::error e = error_of([&] { p.run("a", click, 1); });
    CHECK(e.status() == BATCH_EXPIRED);
    e = error_of([&] { p.submit("a", click, 1).get(); });
    CHECK(e.status() == BATCH_EXPIRED);
    CHECK(p.run("a", click, batch_now_ns() + 60'000'000'000u) == 1);
}

// ---- Futures -----------------------------------------------------------------------------------

void test_futures_have_values_and_exceptions()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    std::vector<std::future<long long>> futures;
    for (int i = 0; i < 100; i++) {
        std::string key = "a key that is too long for its string to hold it without memory";
        futures.push_back(p.submit(key, click)); // the key is copied
    }
    for (int i = 0; i < 100; i++)
        CHECK(futures[static_cast<std::size_t>(i)].get() == i + 1);
    std::future<void> thrown = p.submit("a", [](counter &) { throw refusal("sold out"); });
    try {
        thrown.get();
        CHECK(false);
    } catch (const refusal &) {
    }
    p.submit("a", [](counter &) {}).get();
    auto movable = [owned = std::make_unique<int>(3)](counter &) { return *owned; };
    CHECK(p.submit("a", std::move(movable)).get() == 3);
    p.submit("a", click); // without anyone to wait for it
}

void test_what_is_refused_is_in_the_future()
{
    batch::processor<counter> p(batch::open(batch_memory_open), fast());
    batch::error e = error_of([&] { p.submit(std::string(70000, 'k'), click).get(); });
    CHECK(e.status() == BATCH_INVALID && contains(e, batch_status_text(BATCH_INVALID)));
    finish(p);
    std::future<long long> refused = p.submit("a", click);
    e = error_of([&] { refused.get(); });
    CHECK(e.status() == BATCH_STOPPED && !e.may_be_applied());
}

// ---- Lifetimes ---------------------------------------------------------------------------------

void test_a_processor_keeps_its_store_and_completes_all_it_accepted()
{
    std::vector<std::future<long long>> futures;
    {
        batch::processor<counter> first(batch::open(batch_memory_open)); // 100 ms windows
        batch::processor<counter> p = std::move(first);
        CHECK(first.get() == nullptr);
        for (int i = 0; i < 10; i++)
            futures.push_back(p.submit("a", click));
        batch::processor<counter> other(batch::open(batch_memory_open), fast());
        other = std::move(p); // stops the one that it was
    }
    for (int i = 0; i < 10; i++)
        CHECK(futures[static_cast<std::size_t>(i)].get() == i + 1);
}

void test_a_processor_cannot_be_destroyed_in_its_callbacks()
{
    expect_terminate([] {
        auto p = std::make_unique<batch::processor<counter>>(batch::open(batch_memory_open));
        p->submit("a", [&p](counter &) { p.reset(); }).get();
    });
}

} // namespace

int main()
{
    test_a_processor_cannot_be_destroyed_in_its_callbacks(); // forks: while there is one thread
    test_values_are_returned_once_stored();
    test_verdicts_decide_what_is_saved();
    test_what_an_operation_throws_is_rethrown_and_changes_nothing();
    test_a_value_that_cannot_be_moved_takes_no_change_back();
    test_new_resources_are_made_by_their_constructor();
    test_a_codec_may_make_read_and_write_what_is_not_plain();
    test_what_a_codec_throws_fails_the_load_or_the_save();
    test_what_cannot_be_opened_or_started_says_why();
    test_conflicts_are_replayed_or_thrown();
    test_a_replay_forgets_what_was_thrown_and_returned_before();
    test_what_may_be_applied_is_an_error_that_says_so();
    test_what_was_thrown_counts_only_if_all_was_saved();
    test_waiting_in_an_operation_is_a_deadlock_and_thrown_there();
    test_what_cannot_begin_in_time_expires();
    test_futures_have_values_and_exceptions();
    test_what_is_refused_is_in_the_future();
    test_a_processor_keeps_its_store_and_completes_all_it_accepted();
    std::puts("batch.hpp does what it says");
}
