#pragma once
// A checkpoint is a safetensors file of all states (parameters, optimiser state, step, seed) with the place
// in the data, the hash of the graph and a checksum over all of it. A loaded Session goes on exactly where
// the saved one was.
#include <filesystem>

#include "runtime/data/batches.h"
#include "runtime/session.h"

namespace tenon {

struct Resumed {
  Position position;       // for Batches::seek
  bool same_graph = true;  // false: the states fit, but the program was another when they were saved
};

// Error if the file cannot be written or the states have no values yet; an old file is then intact.
void save(const Session& session, const std::filesystem::path& path, Position position = {});

// Error for a damaged file or a checkpoint of another model (it names every state that differs); no state is
// changed then. A safetensors file of other origin, without metadata, is taken if its names and types are
// those of the states.
Resumed load(Session& session, const std::filesystem::path& path);

}  // namespace tenon
