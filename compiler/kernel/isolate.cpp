// Renumbers a kernel's variables and buffers in the order of their appearance and leaves out names, lines,
// offsets and slots. The key is not `str`, which is for readers: it names every type and the bits of every
// number, and it counts the nodes of an expression once, however often they are used. Every record that it covers is taken
// apart by name, so that a new field is a compile error here.
#include "compiler/kernel/isolate.h"

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace tenon {
namespace {

class Isolation {
 public:
  Isolation(const KernelList& list, const Kernel& kernel) : from_(list) {
    const auto& [name, rows, body, contraction, check, tile, threads, barrier, lines] = kernel;  // barriers are the entry's
    KernelList& alone = result_.list;
    alone.sizes = list.sizes;
    for (const auto& [name, maximum] : list.sizes) write("size {}", maximum);
    write("threads {}", threads > 1);
    Kernel made;
    made.name = "k1";
    made.threads = std::min<int64_t>(threads, 2);
    made.rows = axes("rows", rows);
    if (contraction) {
      made.tile = tile;
      made.contraction = this->contraction(*contraction, tile);
    }
    for (const Statement& statement : body) made.body.push_back(this->statement(statement));
    if (check) {
      const auto& [index, extent, line, message] = *check;  // what is said of a failure is the entry's
      made.check = IndexCheck{buffer(index), extent, {}, {}};
      int64_t before = 0;  // checks of the entry
      for (const Kernel& other : list.kernels) {
        if (&other == &kernel) break;
        before += other.check.has_value();
      }
      given(before);
      write("check {} {}", made.check->index, str(extent));
    }
    alone.kernels.push_back(std::move(made));
  }

  IsolatedKernel take() { return std::move(result_); }

 private:
  template <typename... Parts>
  void write(fmt::format_string<Parts...> format, Parts&&... parts) {
    fmt::format_to(std::back_inserter(result_.key), format, std::forward<Parts>(parts)...);
    result_.key += '\n';
  }
  // Sizes are known by their places, not by their names.
  std::string place(std::string_view size) const { return fmt::format("*s{}", from_.sizes.index(size)); }
  std::string str(Extent e) const {
    std::string text = std::to_string(e.count);
    for (std::string_view size : e.names()) text += place(size);
    return text;
  }

  Contraction contraction(const Contraction& c, const Tile& tile) {
    const auto& [m, n, k, a, b, accumulator, order] = c;
    const auto& [block, group_of_blocks] = order;
    const auto& [rows, vectors, k_block, group, a_layout, b_layout] = tile;
    Contraction made{axes("m", m), axes("n", n), axes("k", k), rename(a), rename(b), buffer(accumulator), order};
    write("contraction {} {} {} in {} {} tile {} {} {} {} {} {}", node(made.a), node(made.b), made.accumulator, block,
          group_of_blocks, rows, vectors, k_block, group, static_cast<int>(a_layout), static_cast<int>(b_layout));
    return made;
  }

  Statement statement(const Statement& s) {
    const auto& [inner, reduced, reduction, value, target, index, scatter, order] = s;
    const auto& [chains, block] = order;
    Statement made{.axes = axes("axes", inner),
                   .reduced = axes("reduced", reduced),
                   .reduction = reduction,
                   .value = rename(value),
                   .buffer = buffer(target),
                   .scatter = scatter,
                   .order = order};
    std::string at;
    for (const Scalar& x : index) {
      made.index.push_back(rename(x));
      at += fmt::format(" {}", node(made.index.back()));
    }
    write("statement {} {} {} {} {} [{}] {}", name(reduction), chains, block, scatter, made.buffer, at, node(made.value));
    return made;
  }

  std::vector<Axis> axes(const char* role, const std::vector<Axis>& axes) {
    std::vector<Axis> made;
    for (const Axis& axis : axes) {
      made.push_back({variable(axis.variable), axis.extent});
      const auto& [variable, extent] = made.back();
      write("{} {} {}", role, variable, str(extent));
    }
    return made;
  }

  int64_t variable(int64_t old) { return variables_.try_emplace(old, static_cast<int64_t>(variables_.size())).first->second; }

  BufferId buffer(BufferId old) {
    auto [it, fresh] = buffers_.try_emplace(old, static_cast<BufferId>(buffers_.size()));
    if (!fresh) return it->second;
    const auto& [name, type, storage, slot, offset, first, last] = from_.buffers[static_cast<size_t>(old)];
    Buffer made{.name = fmt::format("b{}", it->second), .type = type, .storage = storage};
    if (in_memory(storage)) {  // where it lies is the entry's
      std::vector<BufferId>& arguments = result_.arguments;
      made.storage = Storage::argument;
      made.slot = static_cast<int64_t>(arguments.size());
      made.offset = made.slot;
      for (const Buffer& other : result_.list.buffers)
        if (other.storage == Storage::argument && share_bytes(from_, old, arguments[static_cast<size_t>(other.slot)]))
          made.offset = other.offset;
      arguments.push_back(old);
    }
    std::string shape;
    for (Extent e : made.type.shape) shape += str(e) + ",";
    write("buffer {} {} {} [{}] {}", it->second, tenon::name(made.storage), tenon::name(made.type.dtype), shape, made.offset);
    result_.list.buffers.push_back(std::move(made));
    return it->second;
  }

  // A variable that the caller binds to the number.
  Scalar given(int64_t number) {
    auto [it, fresh] = given_.try_emplace(number, first_given + static_cast<int64_t>(given_.size()));
    if (fresh) result_.numbers.push_back(number), result_.list.numbers = std::ssize(result_.numbers);
    return Scalar::index(it->second);
  }

  // The expression with the new numbers. A stream is not renamed as the number it is, but becomes one that is given.
  Scalar rename(const Scalar& x) {
    std::unordered_set<const ScalarNode*> streams;
    visit(x, [&](const Scalar& node) {
      if (node->function == Scalar::philox && node->arguments[1]->function == Scalar::constant)
        streams.insert(&*node->arguments[1]);
    });
    visit(x, [&](const Scalar& node) {
      if (!streams.contains(&*node)) rename_node(node);
    });
    return renamed_.at(&*x);
  }

  // Of a node whose arguments are renamed already, but for streams that are used as numbers elsewhere.
  Scalar rename_node(const Scalar& x) {
    if (auto it = renamed_.find(&*x); it != renamed_.end()) return it->second;
    std::vector<Scalar> arguments;
    for (const Scalar& argument : x->arguments) {
      bool stream = x->function == Scalar::philox && arguments.size() == 1 && argument->function == Scalar::constant;
      arguments.push_back(stream ? shared(given(argument->integer)) : rename_node(argument));
    }
    Scalar made = x;
    if (x->function == Scalar::variable) made = Scalar::index(variable(x->integer));
    if (x->function == Scalar::load)
      made = load(buffer(x->integer), *x, std::move(arguments));
    else if (!arguments.empty())
      made = with_arguments(x, std::move(arguments));
    return renamed_.emplace(&*x, shared(made)).first->second;
  }
  static Scalar load(BufferId source, const ScalarNode& x, std::vector<Scalar> arguments) {
    if (!x.guarded) return Scalar::read(source, x.dtype, std::move(arguments));
    Scalar otherwise = arguments.back(), guard = arguments[arguments.size() - 2];
    arguments.resize(arguments.size() - 2);
    return Scalar::read_if(guard, source, x.dtype, std::move(arguments), otherwise);
  }

  // The first node that is like x, whose arguments are such nodes already. Each gets a line of the key.
  Scalar shared(const Scalar& x) {
    if (lines_.contains(&*x)) return x;
    const auto& [function, dtype, arguments, integer, number, size, guarded] = *x;  // all of it
    std::string line = fmt::format("{} {} {} {:x}{}{}", tenon::function(function).name, name(dtype), integer,
                                   std::bit_cast<uint64_t>(number), guarded ? " guarded" : "", size ? place(size) : "");
    for (const Scalar& argument : arguments) line += fmt::format(" {}", node(argument));
    auto [it, fresh] = nodes_.try_emplace(std::move(line), x);
    if (fresh) {
      write("%{} {}", lines_.size(), it->first);
      lines_.emplace(&*x, lines_.size());
    }
    return it->second;
  }
  size_t node(const Scalar& x) const { return lines_.at(&*x); }

  const KernelList& from_;
  IsolatedKernel result_;
  std::map<int64_t, int64_t> variables_, given_;  // by old variable; by number
  std::map<BufferId, BufferId> buffers_;
  std::unordered_map<const ScalarNode*, Scalar> renamed_;
  std::map<std::string, Scalar> nodes_;
  std::unordered_map<const ScalarNode*, size_t> lines_;  // of these nodes
};

}  // namespace

IsolatedKernel isolate(const KernelList& list, const Kernel& kernel) { return Isolation(list, kernel).take(); }

}  // namespace tenon
