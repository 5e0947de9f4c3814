#include "compiler/loop/plan.h"

#include <algorithm>
#include <unordered_map>

namespace tenon {
namespace {

class Planner {
 public:
  Planner(const Kernel& kernel, const KernelList& list, IndexForms& forms) : list_(list), forms_(forms) {
    plan_.rows = kernel.rows;
    auto note = [&](const Axis& axis) { fresh_ = std::max(fresh_, axis.variable + 1); };
    std::for_each(kernel.rows.begin(), kernel.rows.end(), note);
    for (const Statement& statement : kernel.body) {
      std::for_each(statement.axes.begin(), statement.axes.end(), note);
      std::for_each(statement.reduced.begin(), statement.reduced.end(), note);
    }
    for (const Statement& statement : kernel.body) append(statement);
  }

  RowPlan run() {
    if (plan_.groups.size() == 1 && elementwise(plan_.groups[0])) {
      // Every element stands for itself: the statements' axes are rows too.
      StatementGroup& group = plan_.groups[0];
      plan_.rows.insert(plan_.rows.end(), group.axes.begin(), group.axes.end());
      group.axes.clear();
      plan_.row_lanes = !plan_.rows.empty();
      merge_from_last(plan_.rows, plan_.groups);
    } else {
      for (StatementGroup& group : plan_.groups) merge_inner(group);
      plan_.row_lanes = short_rows();
      if (!plan_.row_lanes) merge_from_last(plan_.rows, plan_.groups);
    }
    return std::move(plan_);
  }

 private:
  static bool is_scatter(const StatementGroup& group) { return group.statements[0].scatter; }

  bool elementwise(const StatementGroup& group) const {
    if (!group.reduced.empty() || is_scatter(group)) return false;
    return std::none_of(group.statements.begin(), group.statements.end(), [&](const Statement& statement) {
      const Buffer& buffer = list_.buffers[static_cast<size_t>(statement.buffer)];
      return buffer.storage == Storage::row && !buffer.type.scalar();
    });
  }

  static void substitute_all(Statement& statement, const std::function<Scalar(const Scalar&)>& replace) {
    statement.value = substitute(statement.value, replace);
    for (Scalar& index : statement.index) index = substitute(index, replace);
  }

  void append(Statement statement) {
    bool joins = !plan_.groups.empty() && !statement.scatter && statement.reduced.empty();
    if (joins) {
      StatementGroup& last = plan_.groups.back();
      joins = last.reduced.empty() && !is_scatter(last) && last.axes.size() == statement.axes.size();
      for (size_t i = 0; joins && i < last.axes.size(); ++i) joins = last.axes[i].extent == statement.axes[i].extent;
      if (joins) {
        Statement renamed = statement;
        substitute_all(renamed, [&](const Scalar& leaf) {
          for (size_t i = 0; i < statement.axes.size(); ++i)
            if (leaf == Scalar::index(statement.axes[i].variable)) return Scalar::index(last.axes[i].variable);
          return Scalar();
        });
        renamed.axes = last.axes;
        std::vector<Statement> both = last.statements;
        both.push_back(renamed);
        if (element_by_element(both)) {
          last.statements = std::move(both);
          return;
        }
      }
    }
    plan_.groups.push_back({statement.axes, statement.reduced, {statement}});
  }

  // Every load of a buffer that one of them stores is of the very element that is stored.
  bool element_by_element(const std::vector<Statement>& statements) const {
    bool result = true;
    for (const Statement& statement : statements)
      visit(statement.value, [&](const Scalar& x) {
        if (x->function != Scalar::load) return;
        for (const Statement& store : statements) {
          if (!share_bytes(list_, x->integer, store.buffer)) continue;
          auto indices = x->indices();
          result &= std::equal(indices.begin(), indices.end(), store.index.begin(), store.index.end());
        }
      });
    return result;
  }

  // Whether the expression uses the variable only in terms of linear forms: a merge has left no division by it.
  bool linear_in(const Scalar& x, int64_t variable) const {
    std::unordered_map<const ScalarNode*, bool> known;
    return linear_in(x, variable, known);
  }
  using Known = std::unordered_map<const ScalarNode*, bool>;
  bool linear_in(const Scalar& x, int64_t variable, Known& known) const {
    if (auto it = known.find(&*x); it != known.end()) return it->second;
    const bool result = new_linear_in(x, variable, known);
    known.emplace(&*x, result);
    return result;
  }
  bool new_linear_in(const Scalar& x, int64_t variable, Known& known) const {
    auto uses = [&](const Scalar& y) {
      bool result = false;
      visit(y, [&](const Scalar& leaf) { result |= leaf == Scalar::index(variable); });
      return result;
    };
    auto of_form = [&](const Linear& form) {
      return std::all_of(form.terms.begin(), form.terms.end(), [&](const Linear::Term& term) {
        const Scalar& atom = term.atom;
        if (atom->function == Scalar::variable || !uses(atom)) return true;
        return atom->function != Scalar::floordiv && atom->function != Scalar::mod && arguments_linear(atom, variable, known);
      });
    };
    if (x->function == Scalar::load)
      return of_form(forms_.flatten(list_.buffers[static_cast<size_t>(x->integer)].type.shape, x->indices())) &&
             (!x->guarded || (linear_in(x->guard(), variable, known) && linear_in(x->otherwise(), variable, known)));
    if (x->dtype == i64) return of_form(forms_.linear(x));
    return arguments_linear(x, variable, known);
  }
  bool arguments_linear(const Scalar& x, int64_t variable, Known& known) const {
    if (x->function == Scalar::load) return linear_in(x, variable, known);
    return std::all_of(x->arguments.begin(), x->arguments.end(),
                       [&](const Scalar& argument) { return linear_in(argument, variable, known); });
  }

  // Replaces the last two axes by one, if that costs no division (or in any case, if `always`).
  bool merge_last(std::vector<Axis>& axes, std::vector<StatementGroup>& groups, bool always) {
    if (axes.size() < 2) return false;
    Axis inner = axes.back(), outer = axes[axes.size() - 2];
    if (!multiplies(outer.extent, inner.extent)) return false;
    Axis merged{fresh_++, outer.extent * inner.extent};
    forms_.bound(merged.variable, merged.extent);
    Scalar position = Scalar::index(merged.variable), extent = Scalar::extent(inner.extent);
    auto replace = [&](const Scalar& leaf) {
      if (leaf == Scalar::index(outer.variable)) return floordiv(position, extent);
      if (leaf == Scalar::index(inner.variable)) return mod(position, extent);
      return Scalar();
    };
    std::vector<StatementGroup> changed = groups;
    for (StatementGroup& group : changed)
      for (Statement& statement : group.statements) {
        substitute_all(statement, replace);
        const Type& type = list_.buffers[static_cast<size_t>(statement.buffer)].type;
        Scalar target = Scalar::read(statement.buffer, type.dtype, statement.index);
        if (!always && !(linear_in(statement.value, merged.variable) && linear_in(target, merged.variable))) return false;
      }
    groups = std::move(changed);
    axes.pop_back();
    axes.back() = merged;
    return true;
  }
  void merge_from_last(std::vector<Axis>& axes, std::vector<StatementGroup>& groups) {
    while (merge_last(axes, groups, false)) {
    }
  }

  void merge_inner(StatementGroup& group) {
    if (is_scatter(group)) return;
    std::vector<StatementGroup> one{group};
    std::vector<Axis> axes = group.axes, reduced = group.reduced;
    merge_from_last(axes, one);
    // The order of a sum is that of the flattened points.
    while (merge_last(reduced, one, true)) {
    }
    group = {std::move(axes), std::move(reduced), std::move(one[0].statements)};
  }

  // Rows of a few elements each, as the classes of a softmax: 16 rows at a time.
  bool short_rows() const {
    if (plan_.rows.empty() || plan_.rows.back().extent.at(list_.sizes) < 16) return false;
    int64_t longest = 0;
    for (const StatementGroup& group : plan_.groups) {
      if (is_scatter(group)) return false;
      Shape inner;
      for (const Axis& axis : group.axes) inner.push_back(axis.extent);
      for (const Axis& axis : group.reduced) inner.push_back(axis.extent);
      Extent points = elements(inner);
      if (points.symbolic()) return false;
      longest = std::max(longest, points.count);
    }
    return longest < 16;
  }

  const KernelList& list_;
  IndexForms& forms_;
  RowPlan plan_;
  int64_t fresh_ = 0;
};

}  // namespace

RowPlan plan_rows(const Kernel& kernel, const KernelList& list, IndexForms& forms) {
  return Planner(kernel, list, forms).run();
}

}  // namespace tenon
