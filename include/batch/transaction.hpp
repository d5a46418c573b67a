/* transaction.hpp: transactions in C++: operations on several keys, stored all or not at all.
 *
 *     bool is_paid = batch::run(accounts, {"ann", "bob"}, [](batch::resources<account> of) {
 *         if (of[0].cents < 100) return false;
 *         of.change(0).cents -= 100, of.change(1).cents += 100;
 *         return true;
 *     });
 *
 * In addition to what transaction.h and batch.hpp say: a resource has changed if the function has
 * called `change` for it, and returns. If it throws, nothing has: so throw before you change
 * anything. */
#ifndef BATCH_TRANSACTION_HPP
#define BATCH_TRANSACTION_HPP

#include <array>
#include <batch/batch.hpp>
#include <vector>
namespace batch {
/* Those of the keys, in their order; while the function runs. */
template <class T> class resources {
public:
    resources(void *const *memory, batch_transaction *of) noexcept : memory_(memory), of_(of) {}
    std::size_t size() const noexcept { return of_->parts_size; }
    const T &operator[](std::size_t i) const { return detail::value_in<T>(memory_[i]); }
    T &change(std::size_t i) const {
        of_->parts[i].changed = true;
        return detail::value_in<T>(memory_[i]);
    }

private:
    void *const *memory_;
    batch_transaction *of_;
};

namespace detail {
struct key_list {
    const std::string_view *keys;
    std::size_t size;
};
inline void make_room(std::vector<batch_part> &parts, std::size_t size) { parts.resize(size); }
template <std::size_t N> void make_room(std::array<batch_part, N> &, std::size_t) {}

/* As detail::operation; `Parts` is an array or a vector of batch_part. */
template <class T, class F, class Parts>
struct transaction : outcome<std::decay_t<std::invoke_result_t<F &, resources<T>>>> {
    transaction(F f, const key_list &list, std::uint64_t start_by_ns,
                batch_transaction_done_fn done)
        : function(static_cast<F &&>(f)) {
        make_room(parts, list.size);
        for (std::size_t i = 0; i < list.size; i++)
            parts[i].key = list.keys[i].data(), parts[i].key_size = list.keys[i].size();
        op.parts = parts.data(), op.parts_size = list.size, op.start_by_ns = start_by_ns;
        op.run = run, op.done = done, op.arg = this;
    }
    transaction(transaction &&) = delete; /* the processor has its address */
    void own_keys() {
        for (const batch_part &part : parts)
            bytes.append(static_cast<const char *>(part.key), part.key_size);
        const char *key = bytes.data();
        for (batch_part &part : parts)
            part.key = key, key += part.key_size;
    }
    int submit(batch_processor *to) { return batch_transaction_submit(to, &op); }
    int submit(batch_processor *to, batch_completions *on) {
        return batch_transaction_submit_to(to, &op, on);
    }
    int cancel(batch_processor *in) { return batch_transaction_cancel(in, &op); }
    static void run(void *const *memory, batch_transaction *op) noexcept {
        auto *self = static_cast<transaction *>(op->arg);
        if (self->keep([&] { return self->function(resources<T>(memory, op)); })) return;
        for (batch_part &part : self->parts)
            part.changed = false;
    }
    batch_transaction op = BATCH_TRANSACTION_INIT;
    F function;
    Parts parts = {};
    std::string bytes; /* of the keys, if it owns those */
};
template <class T, class F, std::size_t N>
using transaction_of = transaction<T, F, std::array<batch_part, N>>;
template <class T, class F> using transaction_of_many = transaction<T, F, std::vector<batch_part>>;

template <class Base, class F>
auto run(batch_processor *in, F &f, const key_list &keys, std::uint64_t start_by_ns) {
    Base transaction(f, keys, start_by_ns, nullptr);
    batch_result result;
    batch_transaction_run(in, &transaction.op, &result);
    return transaction.take(result);
}
} // namespace detail

/* As processor::run, submit and async, for a function of batch::resources<T>. The keys are given as
 * {"ann", "bob"}; or, if their number is known only when it runs, as a pointer and a size. (In an
 * expression with co_await GCC takes no array that has no name: use a variable for the keys.) */
template <class T, std::size_t N, class F>
auto run(processor<T> &in, const std::string_view (&keys)[N], F &&f,
         std::uint64_t start_by_ns = 0) {
    using base = detail::transaction_of<T, F &, N>;
    return detail::run<base>(in.get(), f, {keys, N}, start_by_ns);
}
template <class T, class F>
auto run(processor<T> &in, const std::string_view *keys, std::size_t size, F &&f,
         std::uint64_t start_by_ns = 0) {
    using base = detail::transaction_of_many<T, F &>;
    return detail::run<base>(in.get(), f, {keys, size}, start_by_ns);
}

template <class T, std::size_t N, class F>
auto submit(processor<T> &to, const std::string_view (&keys)[N], F f,
            std::uint64_t start_by_ns = 0) {
    using base = detail::transaction_of<T, F, N>;
    return detail::submit<base>(to.get(), std::move(f), detail::key_list{keys, N}, start_by_ns);
}
template <class T, class F>
auto submit(processor<T> &to, const std::string_view *keys, std::size_t size, F f,
            std::uint64_t start_by_ns = 0) {
    using base = detail::transaction_of_many<T, F>;
    return detail::submit<base>(to.get(), std::move(f), detail::key_list{keys, size}, start_by_ns);
}

#ifdef __cpp_impl_coroutine
template <class T, std::size_t N, class F, class Executor = detail::resume_at_once>
auto async(processor<T> &in, const std::string_view (&keys)[N], F f, Executor executor = {},
           std::uint64_t start_by_ns = 0) {
    using base = detail::transaction_of<T, F, N>;
    return detail::awaitable<base, Executor>(in.get(), executor, std::move(f),
                                             detail::key_list{keys, N}, start_by_ns);
}
template <class T, class F, class Executor = detail::resume_at_once>
auto async(processor<T> &in, const std::string_view *keys, std::size_t size, F f,
           Executor executor = {}, std::uint64_t start_by_ns = 0) {
    using base = detail::transaction_of_many<T, F>;
    return detail::awaitable<base, Executor>(in.get(), executor, std::move(f),
                                             detail::key_list{keys, size}, start_by_ns);
}
#endif
} // namespace batch
#endif
