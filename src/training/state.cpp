#include "training/state.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "base/try.h"
#include "bytes/json.h"
#include "bytes/safetensors.h"

namespace qwen3guard::training {

Status save_state(const RunState& state, const std::filesystem::path& path) {
  nlohmann::json losses = nlohmann::json::array(), validations = nlohmann::json::array();
  for (const auto& p : state.losses) losses.push_back({p.step, p.loss});
  for (const auto& p : state.validations)
    validations.push_back({p.step, p.auroc_prompt, p.auroc_response, p.f1_strict});
  const nlohmann::json run = {{"fingerprint", state.fingerprint},
                              {"step", state.step},
                              {"trained_tokens", state.trained_tokens},
                              {"seconds", state.seconds},
                              {"smoothed_loss", state.smoothed_loss},
                              {"best", state.best},
                              {"best_step", state.best_step},
                              {"pool", state.position.pool},
                              {"batch", state.position.batch},
                              {"drawn", state.position.drawn},
                              {"losses", losses},
                              {"validations", validations}};
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(state.weights.size())};
  const auto tensor = [&](const char* name, const std::vector<float>& values) {
    return bytes::TensorToWrite{name, bytes::DType::kF32, shape, std::as_bytes(std::span(values))};
  };
  const std::vector<bytes::TensorToWrite> tensors = {
      tensor("weights", state.weights), tensor("first_moment", state.optimizer.first),
      tensor("second_moment", state.optimizer.second), tensor("average", state.optimizer.average)};
  return bytes::write_safetensors(path, tensors,
                                  {{"format", "qwen3guard training state 1"}, {"run", run.dump()}});
}

Result<RunState> load_state(const std::filesystem::path& path, const std::string& fingerprint) {
  QG_TRY(const auto file, bytes::SafetensorsFile::open(path));
  const auto corrupt = [&](const std::string& what) {
    return Error{ErrorCode::kCorruptFile, path.string() + ": " + what};
  };
  const auto text = file.metadata().find("run");
  if (text == file.metadata().end()) return corrupt("not a training state");
  QG_TRY(const nlohmann::json run, bytes::parse_json(text->second));
  RunState state;
  try {
    state.fingerprint = run.at("fingerprint").get<std::string>();
    state.step = run.at("step").get<std::size_t>();
    state.trained_tokens = run.at("trained_tokens").get<std::uint64_t>();
    state.seconds = run.at("seconds").get<double>();
    state.smoothed_loss = run.at("smoothed_loss").get<double>();
    state.best = run.at("best").get<double>();
    state.best_step = run.at("best_step").get<std::size_t>();
    state.position.pool = run.at("pool").get<std::uint64_t>();
    state.position.batch = run.at("batch").get<std::uint64_t>();
    state.position.drawn = run.at("drawn").get<std::vector<std::uint64_t>>();
    for (const auto& p : run.at("losses"))
      state.losses.push_back({p.at(0).get<std::size_t>(), p.at(1).get<double>()});
    for (const auto& p : run.at("validations")) {
      state.validations.push_back({p.at(0).get<std::size_t>(), p.at(1).get<double>(),
                                   p.at(2).get<double>(), p.at(3).get<double>()});
    }
  } catch (const nlohmann::json::exception& e) {
    return corrupt(e.what());
  }
  if (state.fingerprint != fingerprint) {
    return Error{
        ErrorCode::kInvalidArgument,
        path.string() +
            ": belongs to a run with another recipe, seed, tokenizer or data; give another " +
            "--out, or delete it to start anew"};
  }
  const auto read = [&](const char* name, std::vector<float>& to) -> Status {
    const auto* tensor = file.find(name);
    if (tensor == nullptr || tensor->dtype != bytes::DType::kF32)
      return corrupt(std::string("no tensor ") + name);
    to.resize(static_cast<std::size_t>(tensor->elements()));
    std::memcpy(to.data(), tensor->data.data(), tensor->data.size());
    return {};
  };
  QG_CHECK_OK(read("weights", state.weights));
  QG_CHECK_OK(read("first_moment", state.optimizer.first));
  QG_CHECK_OK(read("second_moment", state.optimizer.second));
  QG_CHECK_OK(read("average", state.optimizer.average));
  return state;
}

}  // namespace qwen3guard::training
