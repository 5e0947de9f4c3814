#pragma once
// Tenon's one header: define a graph, differentiate it, compile it, run it.
#include "compiler/compile.h"
#include "compiler/graph/differentiate.h"
#include "compiler/graph/update.h"
#include "ir/graph.h"
#include "ir/ops.h"
#include "runtime/program.h"
#include "runtime/session.h"
