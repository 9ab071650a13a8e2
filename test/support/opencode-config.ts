export { opencodeConfig, type OpenCodeConfig } from '../../src/testing/real/opencode-config.js';
