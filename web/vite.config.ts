import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { notices } from './notices.js';

// One script and one style sheet under fixed names: the server serves them as they lie, and a report inlines them.
// Beside them the licences of what is in them.
export default defineConfig({
  base: './',
  plugins: [svelte(), notices('assets/notices.txt')],
  build: {
    outDir: '../src/gatework/explorer/page',
    emptyOutDir: true,
    target: 'es2022',
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/explorer.js',
        assetFileNames: 'assets/explorer[extname]',
      },
    },
  },
});
