#include <algorithm>

#include "bytes/quote.h"
#include "gateway/upstream.h"

namespace qwen3guard::gateway {

Result<UpstreamUrl> parse_url(const std::string& url) {
  const Error wrong{ErrorCode::kInvalidArgument,
                    "upstream " + bytes::quote(url) +
                        ": expected http://HOST[:PORT][/PATH] or https://…, without user, query "
                        "and fragment"};
  UpstreamUrl result;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    result.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong;
  }
  const bool plain = std::all_of(rest.begin(), rest.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '?' && c != '#' && c != '@' && c != '\\';
  });
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  result.header = rest.substr(0, slash);
  result.prefix = rest.substr(slash);
  while (result.prefix.ends_with('/')) result.prefix.pop_back();

  std::string_view host = result.header;
  const std::size_t bracket = host.starts_with('[') ? host.find(']') : 0;
  if (!plain || bracket == host.npos) return wrong;
  const std::size_t colon = host.find(':', bracket);
  result.port = colon == host.npos ? (result.tls ? "443" : "80") : host.substr(colon + 1);
  host = host.substr(0, colon);
  if (bracket > 0) host = host.substr(1, bracket - 1);
  result.host = host;
  const bool number = !result.port.empty() && result.port.size() <= 5 &&
                      result.port.find_first_not_of("0123456789") == std::string::npos &&
                      std::stoi(result.port) >= 1 && std::stoi(result.port) <= 65535;
  if (host.empty() || !number) return wrong;
  return result;
}

std::string_view UpstreamHead::header(std::string_view name) const {
  return server::find_header(headers, name);
}

}  // namespace qwen3guard::gateway
