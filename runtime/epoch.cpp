#include "runtime/epoch.h"

#include <optional>

#include "runtime/progress.h"

namespace tenon {

std::map<std::string, double, std::less<>> run_epoch(Session& session, std::string_view entry, Batches& batches,
                                                     const std::vector<std::string>& inputs, std::FILE* bar,
                                                     std::string title) {
  const std::vector<Binding>& outputs = session.program().entry(entry).outputs;
  for (const Binding& output : outputs)
    if (!output.type.scalar())
      fail(output.line, "run_epoch: output '{}' of entry '{}' is {}; only scalars have a mean over batches", output.name, entry,
           output.type.str());
  Step step = session.prepare(entry);
  std::optional<Progress> progress;
  if (bar) progress.emplace(bar, std::move(title), batches.examples());
  std::vector<double> totals(outputs.size());
  int64_t examples = 0;
  while (batches.next()) {
    for (size_t i = 0; i < inputs.size(); ++i) step.bind(inputs[i], batches[i]);
    step.run();
    for (size_t i = 0; i < outputs.size(); ++i)
      totals[i] += step.output(outputs[i].name).number() * static_cast<double>(batches.size());
    examples += batches.size();
    if (progress && !outputs.empty()) progress->add(batches.size(), step.output(outputs[0].name).number());
  }
  std::map<std::string, double, std::less<>> means;
  for (size_t i = 0; i < outputs.size(); ++i)
    means[outputs[i].name] = examples > 0 ? totals[i] / static_cast<double>(examples) : 0;
  return means;
}

}  // namespace tenon
