export default {
  // What a development server bundles beforehand loses sight of its Worker.
  optimizeDeps: { exclude: ["@medipeps/client"] },
  worker: { format: "es" },
};
