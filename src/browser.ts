// The public names in a browser: the shared ones, and the class without `start()`, which needs a process.
export * from './surface.js';
export { JarvisOpenCode } from './app/jarvis-opencode-browser.js';
export { JarvisFleet, type ServerProfile } from './fleet/jarvis-fleet-browser.js';
