import { defineConfig } from "vite";

// `npm run dev` asks this server; `qwen3guard serve` listens there by default.
const server = "http://127.0.0.1:8080";

export default defineConfig({
  base: "./", // works behind a proxy that puts the server under a path
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    license: { fileName: "assets/licenses.txt" }, // of what the page is built with: uPlot
  },
  server: { proxy: { "/v1": server, "/metrics": server } },
});
