/* hello.cpp: count clicks in a SQLite file. C++17. */
#include <batch/batch.hpp>
#include <batch/sqlite.h>

#include <cstdio>

struct counter {
    long long clicks;
};

int main()
try {
    batch::processor<counter> counters(batch::open(batch_sqlite_open, "counters.db"));
    auto clicks = counters.run("front-page", [](counter &c) { return ++c.clicks; });
    std::printf("click %lld, now on disk\n", clicks);
} catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
