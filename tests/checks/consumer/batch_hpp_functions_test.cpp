// batch_hpp_functions_test.cpp: functions.hpp in C++17. Prints what fails.
#include "batch_hpp_test.h"

#include <batch/functions.hpp>

#include <map>
#include <mutex>

namespace
{

// Neither plain nor with a codec; counted.
struct shelf {
    std::map<std::string, int> goods;
    static inline std::atomic<int> alive{0};
    shelf()
    {
        alive++;
    }
    shelf(const shelf &other) : goods(other.goods)
    {
        alive++;
    }
    shelf &operator=(const shelf &) = default;
    ~shelf()
    {
        alive--;
    }
};

struct table {
    std::mutex mutex; // functions are called on several threads
    std::map<std::string, shelf, std::less<>> rows;
    int saves = 0;

    batch::functions<shelf> functions()
    {
        return {[this](std::string_view key, batch_call *call) {
                    std::lock_guard<std::mutex> guard(mutex);
                    batch_call_set_version(call, 7);
                    auto row = rows.find(key);
                    return row == rows.end() ? shelf() : row->second;
                },
                [this](std::string_view key, const shelf &value, batch_call *call) {
                    std::lock_guard<std::mutex> guard(mutex);
                    CHECK(batch_call_version(call) == 7);
                    rows[std::string(key)] = value;
                    saves++;
                }};
    }
};

int take(shelf &s)
{
    return s.goods["apple"]--;
}

void test_resources_are_loaded_and_saved_by_functions()
{
    table t;
    t.rows["a"].goods["apple"] = 5;
    {
        batch::processor<shelf> p(t.functions(), fast());
        CHECK(p.run("a", take) == 5);
        CHECK(p.submit("a", take).get() == 4);
        p.run("b", [](shelf &s) { s.goods["pear"] = 1; });
        CHECK(p.read("b", [](const shelf &s) { return s.goods.size(); }) == 1);
        batch::processor<shelf> moved = std::move(p);
        CHECK(moved.run("a", take) == 3);
    }
    CHECK(t.rows["a"].goods["apple"] == 2 && t.rows["b"].goods["pear"] == 1 && t.saves == 4);
    t.rows.clear();
    CHECK(shelf::alive == 0);
}

void test_what_is_not_given_is_nothing()
{
    {
        batch::processor<shelf> p(batch::functions<shelf>{}, fast());
        CHECK(p.run("a", take) == 0);
        CHECK(p.run("a", take) == 0); // a new one
    }
    CHECK(shelf::alive == 0);
}

int save_status(batch::functions<shelf> functions, const char *text)
{
    batch::processor<shelf> p(std::move(functions), fast());
    batch::error e = error_of([&] { p.run("a", take); });
    CHECK(std::string(e.what()).find(text) != std::string::npos);
    return e.status();
}

template <class E> batch::functions<shelf> saves_that_throw(E e)
{
    return {nullptr, [e](std::string_view, const shelf &, batch_call *) { throw e; }};
}

void test_what_they_throw_is_the_status()
{
    auto load = [](std::string_view, batch_call *) -> shelf { throw refusal("no shelf"); };
    CHECK(save_status({load, nullptr}, "no shelf") == BATCH_LOAD_FAILED);
    auto unlucky = [](std::string_view, batch_call *) -> shelf { throw batch::error(BATCH_OK); };
    CHECK(save_status({unlucky, nullptr}, "done") == BATCH_LOAD_FAILED);
    CHECK(save_status(saves_that_throw(refusal("no room")), "no room") == BATCH_UNKNOWN);
    CHECK(save_status(saves_that_throw(42), "no standard type") == BATCH_UNKNOWN);
    CHECK(save_status(saves_that_throw(batch::error(BATCH_CONFLICT)), "") == BATCH_CONFLICT);
    batch_result result = {};
    result.status = BATCH_SAVE_FAILED;
    result.store_code = 28;
    std::snprintf(result.message, sizeof result.message, "the disk is full");
    CHECK(save_status(saves_that_throw(batch::error(result)), "disk is full") == BATCH_SAVE_FAILED);
    batch::processor<shelf> p(saves_that_throw(batch::error(result)), fast());
    CHECK(error_of([&] { p.run("a", take); }).result.store_code == 28);
    CHECK(error_of([] {
              batch::options options;
              options.shards = 100000;
              batch::processor<shelf> none(batch::functions<shelf>{}, options);
          }).status() == BATCH_INVALID);
}

// Resources lie in the memory of the library, whatever `new` their type has for the heap.
struct pooled {
    int pages = 1;
    void *operator new(std::size_t) = delete;
};

void test_a_type_may_have_a_new_of_its_own()
{
    batch::functions<pooled> functions = {};
    batch::processor<pooled> none(functions, fast());
    CHECK(none.run("a", [](pooled &p) { return p.pages++; }) == 1);
    functions.load = [](std::string_view, batch_call *) { return pooled{7}; };
    batch::processor<pooled> loaded(functions, fast());
    CHECK(loaded.run("a", [](pooled &p) { return p.pages++; }) == 7);
}

} // namespace

int main()
{
    test_resources_are_loaded_and_saved_by_functions();
    test_what_is_not_given_is_nothing();
    test_what_they_throw_is_the_status();
    test_a_type_may_have_a_new_of_its_own();
    CHECK(shelf::alive == 0);
    std::puts("functions.hpp does what it says");
}
