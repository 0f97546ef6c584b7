/**
 * How many units a check needs in each layer, and how many it spends there. Mostly both are what is asked; a layer may have a quantity of its
 * own, a check may leave units to others, take what there is, or only look. Lua implementation: `lua/includes/check_by_terms.lua`.
 */
import type { Quota } from '../quota.ts'

/** The members of a layer that terms need. */
interface CountedLayer {
  readonly quota: Quota
  /** Units that each check spends here, whatever is asked. `undefined`: what is asked. */
  readonly quantity?: number | undefined
  /** The quota of which this layer counts an instance's share. `undefined`: `quota` is no share. */
  readonly whole?: Quota | undefined
}

/** Units that a check leaves to others: a number, or a share of each layer's limit. */
export class Leave {
  /** As it was given. Equal leaves have equal values. */
  readonly value: number | string
  /** The share of a limit, as `parts / of`. `undefined`: a number of units. */
  readonly #share: { readonly parts: bigint; readonly of: bigint } | undefined
  readonly #known = new WeakMap<CountedLayer, number>()

  /** @param value units, or a percentage below 100 such as `'20%'` or `'2.5%'` */
  constructor(value: number | string) {
    this.value = value
    if (typeof value === 'number') return
    const [whole = '', fraction = ''] = value.slice(0, -1).split('.')
    this.#share = { parts: BigInt(whole + fraction), of: 100n * 10n ** BigInt(fraction.length) }
  }

  /** Units to leave in a layer, rounded up. An instance's share of a quota has the same share of them. */
  in(layer: CountedLayer): number {
    if (this.#share === undefined && layer.whole === undefined) return Number(this.value)
    const known = this.#known.get(layer)
    if (known !== undefined) return known
    const units = this.#count(layer)
    this.#known.set(layer, units)
    return units
  }

  #count({ quota, whole = quota }: CountedLayer): number {
    if (this.#share !== undefined) return Number(roundedUp(BigInt(quota.limit) * this.#share.parts, this.#share.of))
    return whole.limit === 0 ? 0 : Number(roundedUp(BigInt(this.value) * BigInt(quota.limit), BigInt(whole.limit)))
  }
}

function roundedUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor
}

/** How a check differs from one that spends its quantity in each layer, or nothing. */
export interface Terms {
  /** False: a look, which spends nothing, whatever it asks for. */
  readonly spends: boolean
  /** True: as many units are spent as there are, up to those asked for. */
  readonly upTo: boolean
  readonly leave: Leave | undefined
}

/** As many units as there are, up to those asked for. */
export const UP_TO: Terms = { spends: true, upTo: true, leave: undefined }

/** A reservation of 0 units: it asks for room, and pays the layers with a quantity of their own. */
const HOLD: Terms = { spends: true, upTo: false, leave: undefined }

/** The terms of a reservation that leaves nothing to others. `undefined`: a check of `quantity` units does the same. */
export function holdingTerms(quantity: number, layers: readonly CountedLayer[]): Terms | undefined {
  return quantity === 0 && layers.some((layer) => layer.quantity !== undefined) ? HOLD : undefined
}

export function haveSameTerms(one: Terms | undefined, other: Terms | undefined): boolean {
  if (one === other) return true
  if (one === undefined || other === undefined) return false
  return one.spends === other.spends && one.upTo === other.upTo && one.leave?.value === other.leave?.value
}

/** True unless the check only looks. */
export function spendsAny(quantity: number, terms: Terms | undefined): boolean {
  return terms === undefined ? quantity > 0 : terms.spends
}

/** Units that must be available in a layer. A quantity of 0 asks for 1. */
export function neededIn(layer: CountedLayer, quantity: number, terms: Terms | undefined): number {
  if (layer.quantity !== undefined) return layer.quantity
  const asked = quantity === 0 || terms?.upTo === true ? 1 : quantity
  return terms?.leave === undefined ? asked : asked + terms.leave.in(layer)
}

/** Units that a layer spends for an admitted check, of which `units` were granted. */
export function spentIn(layer: CountedLayer, units: number): number {
  return layer.quantity ?? units
}
