// Errors of the operating system as Error values (private to bytes/).
#pragma once

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "bytes/quote.h"
#include "qwen3guard/result.h"

namespace qwen3guard::bytes {

/// "cannot <verb> '<path>': <reason>; <advice>". A missing file is kNotFound, all else kIo.
inline Error system_error(std::string_view verb, const std::filesystem::path& path, int number) {
  const bool missing = number == ENOENT || number == ENOTDIR;
  std::string message = "cannot " + std::string(verb) + " " + quote_path(path) + ": " +
                        std::generic_category().message(number);
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      message += "; check the path";
      break;
    case EACCES:
    case EPERM:
      message += "; check the permissions of the file and of its directories";
      break;
    case ENOSPC:
    case EDQUOT:
      message += "; free some space or write elsewhere";
      break;
    case EFBIG:
      message += "; the file system or a limit (ulimit -f) allows no file of this size";
      break;
    case EROFS:
      message += "; write to another directory";
      break;
    default:
      break;
  }
  return {missing ? ErrorCode::kNotFound : ErrorCode::kIo, std::move(message)};
}

}  // namespace qwen3guard::bytes
