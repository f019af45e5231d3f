// The web page's files and how they travel; the page itself is tested in tests/clients.
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "client.h"
#include "running_server.h"

namespace qwen3guard::server::test {
namespace {

std::vector<std::string> assets_of(const std::string& html) {
  const std::regex link(R"re((?:src|href)="\./(assets/[^"]+)")re");
  std::vector<std::string> found;
  for (std::sregex_iterator at(html.begin(), html.end(), link), end; at != end; ++at) {
    found.push_back("/" + (*at)[1].str());
  }
  return found;
}

ServerOptions with_keys() {
  ServerOptions options;
  options.keys = *ApiKeys::parse("somebody 0123456789abcdef\n");
  return options;
}

TEST(Page, IsServedWithoutAKeyAndLoadsNothingFromElsewhere) {
  RunningServer server(with_keys());
  Client client(server.port());
  EXPECT_EQ(client.ask("GET", "/metrics").status, 401);
  const Answer page = client.ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.headers.at("cache-control"), "no-cache");
  EXPECT_EQ(page.headers.at("x-content-type-options"), "nosniff");
  const std::string& policy = page.headers.at("content-security-policy");
  EXPECT_EQ(policy.rfind("default-src 'none'; script-src 'self';", 0), 0u) << policy;
  EXPECT_EQ(policy.find("unsafe-"), std::string::npos) << policy;
  EXPECT_EQ(page.body.find("http"), std::string::npos) << page.body;
  // Nothing stands in the page that the policy would forbid.
  EXPECT_FALSE(std::regex_search(page.body, std::regex(R"(<script[^>]*>[^<]|<style|style=|\son)")));
}

TEST(Page, AssetsHaveTheirTypesAndMayBeKeptForever) {
  RunningServer server(with_keys());
  Client client(server.port());
  const std::vector<std::string> assets = assets_of(client.ask("GET", "/").body);
  EXPECT_GE(assets.size(), 2u);
  std::size_t total = 0;
  for (const std::string& path : assets) {
    const Answer asset = client.ask("GET", path);
    EXPECT_EQ(asset.status, 200) << path;
    const std::string ending = path.substr(path.rfind('.'));
    const std::string type = ending == ".js"    ? "text/javascript; charset=utf-8"
                             : ending == ".css" ? "text/css; charset=utf-8"
                                                : "image/svg+xml";
    EXPECT_EQ(asset.headers.at("content-type"), type) << path;
    EXPECT_EQ(asset.headers.at("cache-control"), "public, max-age=31536000, immutable");
    total += asset.body.size();
  }
  EXPECT_LT(total, 120u << 10);
}

TEST(Page, IsNotSentAgainToWhoHasIt) {
  RunningServer server;
  Client client(server.port());
  const Answer page = client.ask("GET", "/");
  const std::string tag = page.headers.at("etag");
  const Answer same = client.ask("GET", "/", "", {{"If-None-Match", tag}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(same.headers.count("content-length"), 0u);  // what a 200 would have, or nothing
  EXPECT_EQ(same.headers.at("etag"), tag);
  const Answer other = client.ask("GET", "/", "", {{"If-None-Match", "\"another\""}});
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(other.body, page.body);
}

TEST(Page, HeadTellsWhatGetWouldGive) {
  RunningServer server;
  Client client(server.port());
  for (const char* path : {"/", "/health"}) {
    const Answer got = client.ask("GET", path);
    const Answer head = client.ask("HEAD", path);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.headers.at("content-length"), std::to_string(got.body.size())) << path;
    EXPECT_EQ(head.headers.at("content-type"), got.headers.at("content-type"));
  }
  EXPECT_EQ(client.ask("HEAD", "/v1/moderations").status, 405);
}

TEST(Page, HasNothingElse) {
  RunningServer server;
  Client client(server.port());
  for (const char* path : {"/assets/none.js", "/assets/index.html", "/assets/../index.html",
                           "/assets/%2e%2e", "/assets/", "/index.html", "/favicon.ico"}) {
    const Answer answer = client.ask("GET", path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_FALSE(answer.code().empty());
  }
  const Answer wrong = client.ask("POST", "/", "{}");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "GET, HEAD");
}

TEST(Page, CanBeTurnedOff) {
  ServerOptions options;
  options.service.page = false;
  RunningServer server(options);
  Client client(server.port());
  const Answer answer = client.ask("GET", "/");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.code(), "not_found");
  EXPECT_EQ(client.ask("GET", "/health").status, 200);
}

}  // namespace
}  // namespace qwen3guard::server::test
