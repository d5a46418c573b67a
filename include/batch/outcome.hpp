/* outcome.hpp: what operations and transactions in C++ have in common. batch.hpp includes it.
 *
 * Errors; what a function returned or threw, as a value, in a future, or in a coroutine. */
#ifndef BATCH_OUTCOME_HPP
#define BATCH_OUTCOME_HPP

#include <batch/completions.h>
#include <batch/store.h>
#include <cstdio>
#include <future>
#include <memory>
#include <new>
#include <optional>
#ifdef __cpp_impl_coroutine
#include <coroutine>
#endif
namespace batch {
struct error : std::exception {
    explicit error(const batch_result &of) noexcept : result(of) {}
    explicit error(int status) noexcept : result() {
        result.status = status;
        std::snprintf(result.message, sizeof result.message, "%s", batch_status_text(status));
    }
    const char *what() const noexcept override { return result.message; }
    int status() const noexcept { return result.status; }
    bool may_be_applied() const noexcept { return batch_may_be_applied(result.status); }
    bool is_retryable() const noexcept { return batch_is_retryable(result.status); }
    batch_result result; /* also with the code of the store, and so on */
};

/* A std::future. When canceled, an operation that has not begun does not begin: get throws an error
 * with BATCH_CANCELED. Not once its processor may be gone. */
template <class R> struct future : std::future<R> {
    struct canceler {
        batch_processor *in;
        void (*cancel)(batch_processor *in, void *request);
        std::shared_ptr<void> request;
    };
    future() = default;
    future(std::future<R> of, canceler by) : std::future<R>(std::move(of)), by_(std::move(by)) {}
    void cancel() noexcept {
        if (by_.request != nullptr) by_.cancel(by_.in, by_.request.get());
    }

private:
    canceler by_ = {};
};

namespace detail {
/* What an exception in a callback becomes: `failure`, or what a thrown batch::error says. */
template <class F> int guarded(batch_call *call, int failure, F f) noexcept {
    try {
        f();
        return BATCH_OK;
    } catch (const error &e) {
        batch_call_set_error(call, e.result.store_code, e.what());
        return e.status() != BATCH_OK ? e.status() : failure;
    } catch (const std::exception &e) {
        batch_call_set_error(call, 0, e.what());
    } catch (...) {
        batch_call_set_error(call, 0, "an exception of no standard type");
    }
    return failure;
}
template <class T> T &value_in(void *memory) { return *std::launder(static_cast<T *>(memory)); }

/* What a function returned or threw; it is that only once the status is BATCH_OK. */
template <class R> struct outcome {
    using returned = R;
    template <class F> bool keep(F f) noexcept { /* false: it threw */
        bool has_returned = false;
        thrown = nullptr;
        try {
            if constexpr (std::is_void_v<R>) {
                f();
            } else {
                R made = f();
                has_returned = true; /* a move that throws takes no change back */
                value.emplace(std::move(made));
            }
            return true;
        } catch (...) {
            thrown = std::current_exception();
            return has_returned;
        }
    }
    R take(const batch_result &result) {
        if (result.status != BATCH_OK) throw error(result);
        if (thrown) std::rethrow_exception(thrown);
        if constexpr (!std::is_void_v<R>) return std::move(*value);
    }
    void settle(std::promise<R> &promise, const batch_result &result) noexcept {
        try {
            if constexpr (std::is_void_v<R>) take(result), promise.set_value();
            else promise.set_value(take(result));
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    }
    std::optional<std::conditional_t<std::is_void_v<R>, char, R>> value;
    std::exception_ptr thrown;
};

/* On the heap, until it is done and its future is gone. */
template <class Base> struct request : Base {
    template <class F, class Keys>
    request(F f, const Keys &keys, std::uint64_t by_ns) : Base(std::move(f), keys, by_ns, done) {
        this->own_keys();
    }
    template <class Op> static void done(Op *op, const batch_result *result) noexcept {
        auto *self = static_cast<request *>(static_cast<Base *>(op->arg));
        std::shared_ptr<request> until_here = std::move(self->itself);
        self->settle(self->promise, *result);
    }
    static void cancel(batch_processor *in, void *self) noexcept {
        static_cast<request *>(self)->Base::cancel(in);
    }
    std::shared_ptr<request> itself;
    std::promise<typename Base::returned> promise;
};

template <class Base, class F, class Keys>
auto submit(batch_processor *to, F f, const Keys &keys, std::uint64_t by_ns) {
    using wanted = request<Base>;
    auto made = std::make_shared<wanted>(std::move(f), keys, by_ns);
    future<typename Base::returned> its(made->promise.get_future(), {to, wanted::cancel, made});
    made->itself = made;
    if (int status = made->submit(to); status != BATCH_OK) {
        error refused(status);
        wanted::done(&made->op, &refused.result);
    }
    return its;
}

#ifdef __cpp_impl_coroutine
template <class E> constexpr bool is_queue = std::is_same_v<E, batch_completions *>;
/* In the frame of the coroutine. */
template <class Base, class E> struct awaitable : Base, std::suspend_always {
    template <class F, class Keys>
    awaitable(batch_processor *in, E &with, F f, const Keys &keys, std::uint64_t by_ns)
        : Base(std::move(f), keys, by_ns, done), processor(in), executor(with) {}
    bool await_suspend(std::coroutine_handle<> suspended) noexcept {
        handle = suspended;
        int status;
        if constexpr (is_queue<E>) status = this->submit(processor, executor);
        else status = this->submit(processor);
        if (status == BATCH_OK) return true; /* perhaps resumed and gone already */
        result = error(status).result;
        return false;
    }
    auto await_resume() { return this->take(result); }
    void cancel() noexcept { Base::cancel(processor); }
    template <class Op> static void done(Op *op, const batch_result *given) noexcept {
        auto *self = static_cast<awaitable *>(static_cast<Base *>(op->arg));
        self->result = *given;
        if constexpr (is_queue<E>) self->handle.resume(); /* may end *self */
        else E(std::move(self->executor))(self->handle);
    }
    batch_processor *processor;
    E executor;
    std::coroutine_handle<> handle;
    batch_result result;
};
struct resume_at_once {
    void operator()(std::coroutine_handle<> handle) const { handle.resume(); }
};
#endif
} // namespace detail
} // namespace batch
#endif
