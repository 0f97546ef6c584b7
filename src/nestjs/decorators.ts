/** The decorators of Nest that classes here use as they are loaded, so that the version of Nest must be checked before. */
import { Catch, Inject, Injectable, Module } from '@nestjs/common'
import { checkPeerDependency } from '../peer-dependency.ts'

// A value that others import, because bundlers drop a module that is imported for its effects alone.
export const nest = checkedDecorators()

/** @throws PeerDependencyError when Nest is too old */
function checkedDecorators() {
  for (const name of ['@nestjs/common', '@nestjs/core']) checkPeerDependency('onrush/nestjs', name, '11.0')
  return { Catch, Inject, Injectable, Module }
}
