export { collapsed, isStub, wordsOf } from "./body.ts";
export { canonical, recipientsDigest, stubIdOf } from "./digest.ts";
export * from "./stub.ts";
