#pragma once
// Special functions that the C library lacks, on doubles: the references of the scalar table, also called by compiled
// code. Each states its accuracy; poles and arguments outside the domain follow C's lgamma (inf, NaN).

namespace tenon::special {

double lgamma(double x);    // log |Gamma(x)|, safe to call from many threads
double digamma(double x);   // d/dx lgamma(x), relative error below 1e-13 away from its zeros; NaN at 0, -1, -2, ...
double trigamma(double x);  // d/dx digamma(x), relative error below 1e-13; inf at 0, -1, -2, ...
double erfinv(double y);    // erf(erfinv(y)) = y for |y| < 1, within 4 ulp; +-inf at +-1, NaN beyond

}  // namespace tenon::special
