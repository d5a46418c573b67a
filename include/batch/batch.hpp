/* batch.hpp: libbatch for C++17, and for coroutines with C++20. Header-only, over batch.h.
 *
 *     batch::processor<counter> counters(batch::open(batch_sqlite_open, "counters.db"));
 *     auto clicks = counters.run("front-page", [](counter &c) { return ++c.clicks; });
 *
 * In addition to what batch.h says:
 *   - An operation is anything that can be called with a T &. What it returns is returned once it
 *     is durable, what it throws is rethrown instead. It has changed the resource if it returns,
 *     unless it returns a batch_verdict, or takes one as its second argument and sets it; and has
 *     not if it throws. So throw before you change anything: a change before a throw stays in
 *     memory, and may be saved with those of others.
 *   - transaction.hpp has operations on several keys, functions.hpp your own load and save.
 *   - What fails throws batch::error, or puts it into the future. After std::bad_alloc from run,
 *     submit or async itself nothing was submitted.
 *   - No exception leaves a callback: what a resumed coroutine lets escape, and a throwing executor
 *     or destructor, end in std::terminate. submit and async may destroy the operation there. */
#ifndef BATCH_BATCH_HPP
#define BATCH_BATCH_HPP

#include <batch/outcome.hpp>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
namespace batch {
/* A handle; the store is closed with the last one, of which each processor holds one. */
using store = std::shared_ptr<batch_store>;

/* open(batch_memory_open), open(batch_sqlite_open, "path"), with or without options, and so on. */
template <class Open, class... Args> store open(Open open, Args... args) {
    batch_store *opened = nullptr;
    batch_result result = {};
    int status;
    if constexpr (std::is_invocable_v<Open, batch_store **, Args..., batch_result *>)
        status = open(&opened, args..., &result);
    else if constexpr (std::is_invocable_v<Open, batch_store **, Args...>)
        status = open(&opened, args...);
    else status = open(&opened, args..., nullptr, &result);
    if (status != BATCH_OK) throw status == result.status ? error(result) : error(status);
    return store(opened, batch_store_close);
}

struct options : batch_options { /* the processor sets store, resource_size and codec itself */
    options() : batch_options BATCH_OPTIONS_INIT {}
};

template <class T> struct functions; /* batch/functions.hpp */

/* How a T is stored: a plain type as its bytes. Specialize it for others, with static functions;
 * what they throw fails the load or save. `create` makes a new resource, in place of T(). What
 * `encode` returns has data() and size(), such as std::string. */
template <class T> struct codec {
    static_assert(std::is_trivially_copyable_v<T>, "not a plain type: specialize batch::codec");
    static T decode(std::string_view bytes) {
        if (bytes.size() != sizeof(T))
            throw std::length_error("stored are " + std::to_string(bytes.size()) +
                                    " bytes; the type has " + std::to_string(sizeof(T)));
        T value;
        std::memcpy(static_cast<void *>(&value), bytes.data(), sizeof value);
        return value;
    }
    static std::string_view encode(const T &value) {
        return {reinterpret_cast<const char *>(&value), sizeof value};
    }
};

namespace detail {
template <class T, class = void> constexpr bool has_create = false;
template <class T>
constexpr bool has_create<T, std::void_t<decltype(codec<T>::create(std::string_view()))>> = true;

/* What the memory of a resource holds, the T first. Its static functions are the batch_codec. */
template <class T> struct slot {
    static T make(batch_call *call, const void *stored, std::size_t size) {
        if (stored != nullptr) return codec<T>::decode({static_cast<const char *>(stored), size});
        const void *key = batch_call_key(call, &size);
        [[maybe_unused]] std::string_view name(static_cast<const char *>(key), size);
        if constexpr (has_create<T>) return codec<T>::create(name);
        else return T();
    }
    static int decode(batch_call *call, void *memory, const void *from, std::size_t size, void *) {
        auto f = [&] { new (memory) slot{make(call, from, size), {}}; };
        return guarded(call, BATCH_LOAD_FAILED, f);
    }
    static int encode(batch_call *call, void *memory, const void **to, std::size_t *size, void *) {
        slot &self = value_in<slot>(memory);
        return guarded(call, BATCH_SAVE_FAILED, [&] {
            self.bytes.emplace(codec<T>::encode(self.value));
            *size = self.bytes->size();
            *to = *size > 0 ? static_cast<const void *>(self.bytes->data()) : "";
        });
    }
    static void release(void *memory, void *) noexcept { value_in<slot>(memory).~slot(); }
    T value;
    std::optional<decltype(codec<T>::encode(std::declval<const T &>()))> bytes;
};

template <class T, class F> auto call(F &f, T &value, batch_verdict &verdict) {
    if constexpr (std::is_invocable_v<F &, T &, batch_verdict &>) return f(value, verdict);
    else return f(value);
}
template <class T, class F>
using returned_by =
    decltype(call<T>(std::declval<F &>(), std::declval<T &>(), std::declval<batch_verdict &>()));

/* An operation that calls F; as transaction.hpp has one for several keys. */
template <class T, class F> struct operation : outcome<returned_by<T, F>> {
    operation(F f, std::string_view key, std::uint64_t start_by_ns, batch_done_fn done)
        : function(static_cast<F &&>(f)) {
        op.key = key.data(), op.key_size = key.size(), op.start_by_ns = start_by_ns;
        op.run = run, op.done = done, op.arg = this;
    }
    operation(operation &&) = delete; /* the processor has its address */
    void own_keys() {
        bytes.assign(static_cast<const char *>(op.key), op.key_size);
        op.key = bytes.data();
    }
    int submit(batch_processor *to) { return batch_submit(to, &op); }
    int submit(batch_processor *to, batch_completions *on) { return batch_submit_to(to, &op, on); }
    int cancel(batch_processor *in) { return batch_cancel(in, &op); }
    static batch_verdict run(void *memory, void *arg) noexcept {
        operation *self = static_cast<operation *>(arg);
        batch_verdict verdict = BATCH_CHANGED;
        using returned = typename operation::returned;
        bool has_returned = self->keep([&]() -> returned {
            T &value = value_in<T>(memory);
            if constexpr (!std::is_same_v<returned, batch_verdict>)
                return call<T>(self->function, value, verdict);
            else return verdict = call<T>(self->function, value, verdict);
        });
        return has_returned ? verdict : BATCH_UNCHANGED;
    }
    batch_op op = BATCH_OP_INIT;
    F function;
    std::string bytes; /* of the key, if it owns that */
};

} // namespace detail
/* Runs operations on resources of type T, each under a key: any bytes. All members may be used from
 * any thread; run, read, stop and the destructor wait, so not from a callback. */
template <class T> class processor {
public:
    explicit processor(store in, batch_options options = batch::options()) {
        using slot = detail::slot<T>;
        static_assert(alignof(slot) <= BATCH_RESOURCE_ALIGNMENT, "aligned more than resources are");
        static const batch_codec codec = {sizeof codec, nullptr,      nullptr,     slot::release,
                                          nullptr,      slot::decode, slot::encode};
        options.store = in.get(), options.resource_size = sizeof(slot), options.codec = &codec;
        start(options, std::move(in));
    }
    /* Over load and save functions in place of a store: in batch/functions.hpp. */
    explicit processor(functions<T> with, batch_options options = batch::options());

    /* Run f and wait until it is durable. */
    template <class F> auto run(std::string_view key, F &&f, std::uint64_t start_by_ns = 0) {
        detail::operation<T, F &> operation(f, key, start_by_ns, nullptr);
        batch_result result;
        batch_run(get(), &operation.op, &result);
        return operation.take(result);
    }

    /* The same for an f that takes a const T &: nothing changes, so nothing is saved for it. */
    template <class F> auto read(std::string_view key, F &&f, std::uint64_t start_by_ns = 0) {
        auto unchanged = [&f](T &value, batch_verdict &verdict) {
            verdict = BATCH_UNCHANGED;
            return f(static_cast<const T &>(value));
        };
        return run(key, unchanged, start_by_ns);
    }

    /* Submit f and return at once, with a batch::future. */
    template <class F> auto submit(std::string_view key, F f, std::uint64_t start_by_ns = 0) {
        using base = detail::operation<T, F>;
        return detail::submit<base>(get(), std::move(f), key, start_by_ns);
    }

#ifdef __cpp_impl_coroutine
    /* co_await async(key, f): what f returned, once it is durable. Allocates nothing. `executor`
     * may be a batch_completions *: the coroutine is resumed where that is dispatched. Or what can
     * be called with a std::coroutine_handle<>: the worker does that, and it sees that the
     * coroutine is resumed; by default at once, so that what follows runs as in a callback. To
     * cancel it, give it a name first: auto click = async(...), and click.cancel() elsewhere. */
    template <class F, class Executor = detail::resume_at_once>
    auto async(std::string_view key, F f, Executor executor = {}, std::uint64_t start_by_ns = 0) {
        using base = detail::operation<T, F>;
        return detail::awaitable<base, Executor>(get(), executor, std::move(f), key, start_by_ns);
    }
#endif
    /* As batch_processor_stop. The destructor does the same, and waits for the end. */
    std::int64_t stop(std::uint64_t timeout_ns) { return batch_processor_stop(get(), timeout_ns); }
    batch_processor *get() const noexcept { return processor_.get(); }

private:
    struct ender {
        std::shared_ptr<void> kept; /* what it is over, until it is freed */
        void operator()(batch_processor *processor) const noexcept {
            if (batch_processor_stop(processor, BATCH_FOREVER) != 0 ||
                batch_processor_free(processor) != BATCH_OK)
                std::terminate(); /* in a callback: it would wait for itself */
        }
    };
    void start(const batch_options &options, std::shared_ptr<void> kept) {
        batch_processor *started;
        batch_result result;
        if (batch_processor_start(&started, &options, &result) != BATCH_OK) throw error(result);
        processor_ = {started, ender{std::move(kept)}};
    }
    std::unique_ptr<batch_processor, ender> processor_;
};

} // namespace batch
#endif
