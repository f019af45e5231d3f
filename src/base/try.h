// Early return on error: keeps the happy path straight.
#pragma once

#include "qwen3guard/result.h"

#define QG_CONCAT_INNER(a, b) a##b
#define QG_CONCAT(a, b) QG_CONCAT_INNER(a, b)

/// QG_TRY(auto file, MappedFile::open(path)); returns the Error from the enclosing function, else
/// binds.
#define QG_TRY(declaration, expression) \
  QG_TRY_INNER(declaration, expression, QG_CONCAT(qg_try_, __LINE__))
#define QG_TRY_INNER(declaration, expression, result) \
  auto result = (expression);                         \
  if (!result.ok()) return std::move(result).error(); \
  declaration = std::move(result).value()

/// QG_CHECK_OK(writer.close()); the same for a Status.
#define QG_CHECK_OK(expression)                               \
  do {                                                        \
    auto qg_status = (expression);                            \
    if (!qg_status.ok()) return std::move(qg_status).error(); \
  } while (false)
