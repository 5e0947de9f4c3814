#pragma once
// The text form of a graph, which is its file format: parse(print(g)) == g for whole programs. The grammar
// stands in ir/README.md. Lines and scopes are comments: a parsed node carries the line of the text it was
// read from.
#include <map>

#include "ir/graph.h"

namespace tenon {

// Constants that lie beside a text, by Literal::hash().
using LiteralTable = std::map<uint64_t, Literal>;

struct Printing {
  bool origins = true;               // a comment with scope and lines after each node
  LiteralTable* literals = nullptr;  // takes the constants of more than 64 elements; null: they stand in the text
};

// Nodes are numbered in list order, so graphs with equal lists have equal texts (without origins).
std::string print(const Body& body, Printing printing = {});
std::string print(const Graph& graph, Printing printing = {});

// Reads a whole text. Error "file:line:column: message", with the line and a caret under the column, for any
// text that print() could not have written from a graph that holds together (see verify.h); operations are
// those of find_op.
Graph parse(std::string_view text, std::string_view file = "<text>", const LiteralTable& literals = {});

// The same program: nodes, names, streams, states, entries, marks and the sizes with their maxima. Lines and scopes
// may differ.
bool equal(const Body& a, const Body& b);
bool operator==(const Graph& a, const Graph& b);

// The text as a string of the grammar: in quotation marks, control bytes as \x0a.
std::string quoted(std::string_view text);
// The shortest text that reads back as x; a NaN other than the default one shows its bits.
std::string exact(double x);
std::string exact(float x);
std::string exact(half x);
std::string exact(bfloat x);
// "f32[2]{0.5, 1.0}"; one of more than 64 elements goes to `beside`, if there is such a table, and its hash stands here.
std::string text_of(const Literal& literal, LiteralTable* beside = nullptr);

// A picture for Graphviz: one cluster a scope, backward nodes in another colour, updates dashed.
std::string dot(const Body& body);
std::string dot(const Graph& graph);

}  // namespace tenon
