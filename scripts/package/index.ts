/** `npm run build`. */
import { join } from 'node:path'
import { buildPackage } from './build.ts'
import { ROOT } from './manifest.ts'

await buildPackage(join(ROOT, 'dist'))
