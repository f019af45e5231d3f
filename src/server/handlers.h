// The routes' handlers, one file a family; routes.cpp has the table.
#pragma once

#include "server/http.h"
#include "server/service.h"

namespace qwen3guard::server {

Result<Response> moderations(Service& service, const Request& request);
Result<Response> chat_completions(Service& service, const Request& request);
Result<Response> classify(Service& service, const Request& request);
Result<Response> litellm_guardrail(Service& service, const Request& request);
Result<Response> webhook_request(Service& service, const Request& request);
Result<Response> webhook_response(Service& service, const Request& request);
Result<Response> open_stream(Service& service, const Request& request);
Result<Response> append_to_stream(Service& service, const Request& request);
Result<Response> next_turn_of_stream(Service& service, const Request& request);
Result<Response> close_stream(Service& service, const Request& request);
/// One message of a WebSocket; the parameter is its stream's id, empty before the first.
Result<Response> stream_message(Service& service, const Request& request);
Result<Response> stream_handshake(Service& service, const Request& request);
Result<Response> health(Service& service, const Request& request);
Result<Response> ready(Service& service, const Request& request);
Result<Response> metrics(Service& service, const Request& request);
Result<Response> models(Service& service, const Request& request);
Result<Response> page(Service& service, const Request& request);
Result<Response> page_asset(Service& service, const Request& request);

}  // namespace qwen3guard::server
