// The public names on Node: the shared ones, and the class that can start a server.
export * from './surface.js';
export {
  JarvisOpenCode,
  type SharedOptions,
  type SignalPolicy,
  type StartOptions,
} from './app/jarvis-opencode.js';
export { JarvisFleet, type ServerProfile } from './fleet/jarvis-fleet.js';
export type { OwnProfile } from './fleet/own-profile.js';
export type { ServerOptions } from './lifecycle/server/options.js';
export {
  filePart,
  type FileLines,
  type FilePartInput,
  type FilePartOptions,
} from './lifecycle/paths/file-part.js';
