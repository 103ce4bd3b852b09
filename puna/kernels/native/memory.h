// Large zeroed memory straight from the kernel: pages appear as they are touched.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace puna {

constexpr size_t kHugePage = size_t{2} << 20;

// Owns `count` zeroed values. Throws std::bad_alloc when the system has no room.
template <class T>
class Pages {
public:
    Pages() = default;
    explicit Pages(size_t count) : bytes_(count * sizeof(T)) {
        if (bytes_ == 0) return;
        void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) throw std::bad_alloc();
        if (bytes_ >= kHugePage) madvise(p, bytes_, MADV_HUGEPAGE);  // fewer TLB misses when weights stream
        data_ = static_cast<T*>(p);
    }
    Pages(Pages&& other) noexcept { swap(other); }
    Pages& operator=(Pages&& other) noexcept { swap(other); return *this; }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() { if (data_) munmap(data_, bytes_); }

    T* data() const { return data_; }
    size_t bytes() const { return bytes_; }

private:
    void swap(Pages& other) { std::swap(data_, other.data_); std::swap(bytes_, other.bytes_); }

    T* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace puna
