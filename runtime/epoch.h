#pragma once
// One pass over the data.
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/batches.h"
#include "runtime/session.h"

namespace tenon {

// Runs the entry on every batch that is left of the epoch, tensor i of a batch bound to the input inputs[i],
// and returns the mean of each output over all examples: every batch counts by its rows. Outputs must be
// scalars. With a stream it draws a progress bar there, which shows the first output. Error as for any run,
// or if an output is no scalar.
std::map<std::string, double, std::less<>> run_epoch(Session& session, std::string_view entry, Batches& batches,
                                                     const std::vector<std::string>& inputs, std::FILE* bar = nullptr,
                                                     std::string title = {});

}  // namespace tenon
