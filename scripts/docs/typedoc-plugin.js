import { Converter } from 'typedoc';

/**
 * A plugin of typedoc: names a guide after its first heading, where typedoc takes the name of the file, and does not show the tag that
 * only typedoc reads.
 *
 * @param {import('typedoc').Application} app
 */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
    const title = /^# (.+)/.exec(document.content[0]?.text ?? '')?.[1];
    if (title !== undefined) document.name = title;
  });
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const { comment } of Object.values(project.reflections)) {
      comment?.modifierTags.delete('@useDeclaredType');
    }
  });
}
