/* functions.hpp: a processor in C++ over load and save functions in place of a store.
 *
 *     batch::functions<account> rows = {
 *         [&](std::string_view id, batch_call *) { return select(id); },
 *         [&](std::string_view id, const account &a, batch_call *) { update(id, a); }};
 *     batch::processor<account> accounts(rows);
 *
 * They are called as batch.h says of load and save: on session threads, several at a time for
 * different keys. What they throw fails the batch: a load with BATCH_LOAD_FAILED; a save with the
 * status of a batch::error, such as error(BATCH_CONFLICT) or error(BATCH_SAVE_FAILED), and after
 * any other exception with BATCH_UNKNOWN, since what it left behind is not known. */
#ifndef BATCH_FUNCTIONS_HPP
#define BATCH_FUNCTIONS_HPP

#include <batch/batch.hpp>
#include <functional>
namespace batch {
template <class T> struct functions {
    std::function<T(std::string_view key, batch_call *call)> load; /* empty: T() */
    std::function<void(std::string_view key, const T &value, batch_call *call)> save; /* or empty */
};

namespace detail {
/* As batch_load_fn, batch_save_fn and batch_release_fn; the memory of a resource holds a T. */
template <class T> struct caller {
    static std::string_view key_of(const batch_call *call) {
        std::size_t size;
        const void *key = batch_call_key(call, &size);
        return {static_cast<const char *>(key), size};
    }
    static int load(batch_call *call, void *memory, void *arg) {
        auto *with = static_cast<const functions<T> *>(arg);
        return guarded(call, BATCH_LOAD_FAILED, [&] {
            if (with->load) ::new (memory) T(with->load(key_of(call), call));
            else ::new (memory) T(); /* T may have a new of its own */
        });
    }
    static int save(batch_call *call, void *memory, void *arg) {
        auto *with = static_cast<const functions<T> *>(arg);
        return guarded(call, BATCH_UNKNOWN,
                       [&] { with->save(key_of(call), value_in<T>(memory), call); });
    }
    static void release(void *memory, void *) noexcept { value_in<T>(memory).~T(); }
};
} // namespace detail

template <class T> processor<T>::processor(functions<T> with, batch_options options) {
    static_assert(alignof(T) <= BATCH_RESOURCE_ALIGNMENT, "aligned more than resources are");
    using caller = detail::caller<T>;
    auto kept = std::make_shared<functions<T>>(std::move(with));
    options.load = caller::load, options.release = caller::release, options.arg = kept.get();
    options.save = kept->save ? caller::save : nullptr;
    options.store = nullptr, options.codec = nullptr, options.resource_size = sizeof(T);
    start(options, std::move(kept));
}

} // namespace batch
#endif
