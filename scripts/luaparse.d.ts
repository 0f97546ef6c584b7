/** What `scripts/embed-lua.ts` uses of luaparse, which has no types of its own. */
declare module 'luaparse' {
  export function parse(text: string, options: { scope: boolean; luaVersion: '5.1' }): { globals?: { name: string }[] }
}
