export { isolatedEnv, type IsolatedEnv } from '../../src/testing/real/isolated-env.js';
