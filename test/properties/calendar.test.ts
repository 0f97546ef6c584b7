/** Calendar quotas equal exact arithmetic on bounds that another implementation of Temporal computes. */
import fc from 'fast-check'
import { Quota } from 'onrush'
import { describe, expect, test } from 'vitest'
import { calendarQuotas, changingCalendarQuotas, instants } from '../support/calendar/arbitraries.ts'
import { Oracle } from '../support/calendar/oracle.ts'
import { command, quotas, sequence } from '../support/exact/arbitraries.ts'
import { COUNTINGS, type Layer, Pair, runs, Timeline } from '../support/exact/pair.ts'
import { CALENDAR_LIMITERS } from '../support/limiters.ts'

const CALENDAR_COUNTINGS = COUNTINGS.filter(({ name }) => CALENDAR_LIMITERS.some((counting) => counting.name === name))

test('a window and its neighbours have the bounds that another implementation of Temporal computes', () => {
  fc.assert(
    fc.property(calendarQuotas, fc.array(instants, { minLength: 1, maxLength: 8 }), ({ calendar }, list) => {
      if (calendar === undefined) throw new Error('a calendar quota is needed')
      const oracle = new Oracle(calendar)
      for (const now of list) {
        const { previousStart, start, end, nextEnd } = calendar.at(Number(now))
        expect({
          previousStart: BigInt(previousStart),
          start: BigInt(start),
          end: BigInt(end),
          nextEnd: BigInt(nextEnd),
        }).toEqual(oracle.at(now))
      }
    }),
    runs(40),
  )
})

test('the text of a calendar quota reads back to an equal quota', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        calendarQuotas,
        changingCalendarQuotas.map(([first]) => first),
      ),
      (quota) => {
        const read = Quota.parse(String(quota))
        expect(read).toEqual(quota)
        expect(read.equals(quota)).toBe(true)
      },
    ),
    runs(100),
  )
})

describe.each(CALENDAR_COUNTINGS)('$name', (counting) => {
  test('answers every check of a calendar quota as exact arithmetic does', () => {
    fc.assert(
      fc.property(instants, calendarQuotas, sequence(command()), (start, quota, commands) => {
        const pair = new Pair(new Timeline(start), [{ counting, quota }])
        for (const each of commands) pair.follow(each)
      }),
      runs(12),
    )
  })

  test('carries what is used over when the count of a calendar quota changes under its name', () => {
    const changes = sequence(fc.record({ version: fc.nat({ max: 2 }), next: command() }))
    fc.assert(
      fc.property(instants, changingCalendarQuotas, changes, (start, versions, list) => {
        const pair = new Pair(new Timeline(start), [{ counting, quota: versions[0] }])
        for (const { version, next } of list) {
          pair.changeQuotas([versions[version] ?? versions[0]])
          pair.follow(next)
        }
      }),
      runs(6),
    )
  })
})

test('calendar quotas are decided all or nothing beside quotas of any algorithm', () => {
  const calendarLayer: fc.Arbitrary<Layer> = fc.record({
    counting: fc.constantFrom(...CALENDAR_COUNTINGS),
    quota: calendarQuotas,
  })
  const plain: fc.Arbitrary<Layer> = fc.record({ counting: fc.constantFrom(...COUNTINGS), quota: quotas() })
  fc.assert(
    fc.property(instants, calendarLayer, plain, sequence(command()), (start, one, other, commands) => {
      const pair = new Pair(new Timeline(start), [other, one])
      for (const each of commands) pair.follow(each)
    }),
    runs(12),
  )
})
