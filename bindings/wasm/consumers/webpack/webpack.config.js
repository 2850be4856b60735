export default {
  mode: "production",
  // Without source maps made by `eval`, which the policy of a page refuses.
  devtool: false,
  entry: "./src/main.js",
  // The size of what is loaded is held to its budget elsewhere.
  performance: { hints: false },
};
