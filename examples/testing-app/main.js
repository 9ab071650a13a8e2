import { JarvisOpenCode } from 'jarvis-opencode';
import { createApp } from './app.js';

// node main.js shop=/srv/shop blog=/srv/blog
const repos = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split('=')));
const jarvis = await JarvisOpenCode.start();
const app = createApp(jarvis, repos).listen(8080, '127.0.0.1');
console.log('POST http://127.0.0.1:8080/<name> {"question": "…"}');

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    app.close();
    await jarvis.close();
  });
}
