// Threads and bytes: that nothing is touched by two threads at once, and that what is alive together lies
// apart.
#include <algorithm>
#include <map>

#include "compiler/kernel/verify.h"

namespace tenon {
namespace {

template <typename... Args>
[[noreturn]] void broken(fmt::format_string<Args...> format, Args&&... args) {
  throw InternalError(fmt::format(format, std::forward<Args>(args)...));
}

std::string_view name_of(const KernelList& list, BufferId id) { return list.buffers[static_cast<size_t>(id)].name; }

// What threads have touched since they last met.
class Barriers {
 public:
  explicit Barriers(const KernelList& list) : list_(list) {
    for (const Kernel& kernel : list.kernels) several_ |= kernel.threads > 1;
  }

  void pass(const Kernel& kernel, const Touched& touched) {
    if (checked_ && !kernel.check) meet(), flag_read_ = true;
    if (kernel.barrier) meet(), flag_read_ = false;
    if (several_ && kernel.check && flag_read_)
      broken("{}: its check writes the flag that another thread may still read", kernel.name);
    for (BufferId id : touched.read) apart(kernel, id, written_);
    for (BufferId id : touched.written) apart(kernel, id, written_), apart(kernel, id, read_);
    for (BufferId id : touched.read) note(read_, id, kernel);
    for (BufferId id : touched.written) note(written_, id, kernel);
    checked_ = kernel.check.has_value();
  }

 private:
  using Since = std::map<BufferId, const Kernel*>;  // the last kernel, of several threads if there was one

  void meet() { read_.clear(), written_.clear(); }
  static void note(Since& since, BufferId id, const Kernel& kernel) {
    const Kernel*& known = since[id];
    if (!known || known->threads == 1) known = &kernel;
  }
  // Kernels of one thread all run on the first.
  void apart(const Kernel& kernel, BufferId id, const Since& since) const {
    auto it = since.find(id);
    if (it != since.end() && (kernel.threads > 1 || it->second->threads > 1))
      broken("{} and {} touch '{}' on different threads, and no barrier is between them", it->second->name, kernel.name,
             name_of(list_, id));
  }

  const KernelList& list_;
  Since read_, written_;
  bool several_ = false;  // some kernel runs on several threads
  bool checked_ = false, flag_read_ = false;
};

// The kernels that may run while each one does: all between the same barriers, if it has several threads.
std::vector<std::pair<size_t, size_t>> spans(const KernelList& list) {
  std::vector<std::pair<size_t, size_t>> result;
  for (size_t first = 0; first < list.kernels.size();) {
    size_t next = first + 1;
    while (next < list.kernels.size() && !list.kernels[next].barrier) ++next;
    for (size_t k = first; k < next; ++k)
      result.push_back(list.kernels[k].threads > 1 ? std::pair(first, next - 1) : std::pair(k, k));
    first = next;
  }
  return result;
}

struct Life {
  BufferId buffer;
  size_t first, last;  // kernels
  int64_t begin, end;  // bytes
};

// In the order of their beginnings; the alive ones lie in a row, so that only neighbours can meet.
void verify_lives(const KernelList& list, std::vector<Life> lives) {
  std::stable_sort(lives.begin(), lives.end(), [](const Life& a, const Life& b) { return a.first < b.first; });
  std::map<int64_t, const Life*> alive;     // by begin
  std::multimap<size_t, const Life*> ends;  // by last
  for (const Life& life : lives) {
    const Buffer& buffer = list.buffers[static_cast<size_t>(life.buffer)];
    if (life.begin < 0 || life.begin % 64 != 0 || life.end > list.arena_bytes)
      broken("'{}' at {} does not lie in the arena of {} bytes", buffer.name, life.begin, list.arena_bytes);
    while (!ends.empty() && ends.begin()->first < life.first) {
      alive.erase(ends.begin()->second->begin);
      ends.erase(ends.begin());
    }
    if (life.begin == life.end) continue;
    auto after = alive.lower_bound(life.begin);
    auto meets = [&](const Life& other) {
      if (life.begin < other.end && other.begin < life.end)
        broken("'{}' (k{} to k{}) and '{}' (k{} to k{}) share bytes while both are alive", name_of(list, other.buffer),
               other.first + 1, other.last + 1, buffer.name, life.first + 1, life.last + 1);
    };
    if (after != alive.end()) meets(*after->second);
    if (after != alive.begin()) meets(*std::prev(after)->second);
    alive[life.begin] = &life;
    ends.emplace(life.last, &life);
  }
}

}  // namespace

void verify_memory(const KernelList& list) {
  std::map<BufferId, Life> lives;
  const auto span = spans(list);
  Barriers barriers(list);
  for (size_t k = 0; k < list.kernels.size(); ++k) {
    Touched touched = touched_buffers(list.kernels[k], list);
    barriers.pass(list.kernels[k], touched);
    touched.read.merge(touched.written);
    for (BufferId id : touched.read) {
      const Buffer& buffer = list.buffers[static_cast<size_t>(id)];
      if (buffer.storage != Storage::arena || buffer.offset < 0) continue;
      const Life now{id, span[k].first, span[k].second, buffer.offset, buffer.offset + buffer.type.bytes(list.sizes)};
      Life& life = lives.try_emplace(id, now).first->second;
      life.first = std::min(life.first, now.first), life.last = std::max(life.last, now.last);
    }
  }
  std::vector<Life> all;
  for (const auto& [id, life] : lives) all.push_back(life);
  verify_lives(list, std::move(all));
}

}  // namespace tenon
