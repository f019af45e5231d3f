// The web page at "/". It needs no API key: it shows nothing that it did not get by one.
#include <array>
#include <string>
#include <utility>

#include "base/try.h"
#include "bytes/quote.h"
#include "server/handlers.h"
#include "server/page_files.h"

namespace qwen3guard::server {
namespace {

// Nothing comes from elsewhere or goes there, and no text can become script or markup.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

std::string_view content_type(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kTypes = {{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".txt", "text/plain; charset=utf-8"},
  }};
  for (const auto& [ending, type] : kTypes) {
    if (name.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

Result<const PageFile*> find_file(const Service& service, std::string_view name) {
  for (const PageFile& file : page_files()) {
    if (service.serves_page() && file.name == name) return &file;
  }
  return Error{ErrorCode::kNotFound, service.serves_page()
                                         ? "the page has no file " + bytes::quote(name, 80)
                                         : "the page is turned off (--no-page)"};
}

Response file_response(const PageFile& file, const Request& request, const char* caching) {
  const std::string tag = "\"" + std::string(file.digest.substr(0, 32)) + "\"";
  Response response{.body = {},
                    .content_type = std::string(content_type(file.name)),
                    .headers = {{"ETag", tag},
                                {"Cache-Control", caching},
                                {"Content-Security-Policy", kContentSecurityPolicy},
                                {"X-Content-Type-Options", "nosniff"},
                                {"Referrer-Policy", "no-referrer"}}};
  if (request.header("if-none-match").find(tag) != std::string_view::npos) {
    response.status = 304;
  } else {
    response.body.assign(reinterpret_cast<const char*>(file.bytes), file.size);
  }
  return response;
}

}  // namespace

Result<Response> page(Service& service, const Request& request) {
  QG_TRY(const PageFile* file, find_file(service, "index.html"));
  return file_response(*file, request, "no-cache");
}

Result<Response> page_asset(Service& service, const Request& request) {
  QG_TRY(const PageFile* file, find_file(service, "assets/" + request.parameter));
  // Their names change with what is in them.
  return file_response(*file, request, "public, max-age=31536000, immutable");
}

}  // namespace qwen3guard::server
