// Large zeroed memory straight from the kernel: pages appear as they are touched. Under the address
// sanitizer it comes from the heap, whose borders that watches.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

namespace puna {

// Asks for bytes that are wanted soon, into the second-level cache.
inline void ask_memory_for(const uint8_t* bytes, int64_t count) {
    for (int64_t i = 0; i < count; i += 64) __builtin_prefetch(bytes + i, 0, 2);
}

// Has a file's mapped pages in this process's memory before they are read, which costs a third of coming to
// them one by one. A system that does not know how leaves that to the first reading.
inline void bring_in_pages(const uint8_t* bytes, size_t count) {
#ifdef MADV_POPULATE_READ
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)), address = reinterpret_cast<uintptr_t>(bytes);
    const uintptr_t begin = address / page * page;
    madvise(reinterpret_cast<void*>(begin), address + count - begin, MADV_POPULATE_READ);
#endif
}

constexpr size_t kHugePage = size_t{2} << 20;

#ifdef __SANITIZE_ADDRESS__

inline void* take_pages(size_t bytes) { return std::calloc(bytes, 1); }
inline void give_back_pages(void* p, size_t) { std::free(p); }

#else

inline void* take_pages(size_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    if (bytes >= kHugePage) madvise(p, bytes, MADV_HUGEPAGE);  // fewer TLB misses when weights stream
    return p;
}
inline void give_back_pages(void* p, size_t bytes) { munmap(p, bytes); }

#endif

// Owns `count` zeroed values. Throws std::bad_alloc when the system has no room.
template <class T>
class Pages {
public:
    Pages() = default;
    explicit Pages(size_t count) : bytes_(count * sizeof(T)) {
        if (bytes_ == 0) return;
        data_ = static_cast<T*>(take_pages(bytes_));
        if (!data_) throw std::bad_alloc();
    }
    Pages(Pages&& other) noexcept { swap(other); }
    Pages& operator=(Pages&& other) noexcept { swap(other); return *this; }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() { if (data_) give_back_pages(data_, bytes_); }

    T* data() const { return data_; }
    size_t bytes() const { return bytes_; }

private:
    void swap(Pages& other) { std::swap(data_, other.data_); std::swap(bytes_, other.bytes_); }

    T* data_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace puna
