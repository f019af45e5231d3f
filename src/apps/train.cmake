add_executable(qwen3guard-train 
  ${CMAKE_SOURCE_DIR}/src/apps/train.cpp ${CMAKE_SOURCE_DIR}/src/apps/train_average.cpp ${CMAKE_SOURCE_DIR}/src/apps/train_evaluate.cpp
  ${CMAKE_SOURCE_DIR}/src/apps/train_guard.cpp ${CMAKE_SOURCE_DIR}/src/apps/train_linear.cpp
  ${CMAKE_SOURCE_DIR}/src/apps/train_synthesise.cpp
  ${CMAKE_SOURCE_DIR}/src/apps/train_tokenizer.cpp)
target_link_libraries(qwen3guard-train PRIVATE qg_training CLI11::CLI11)
