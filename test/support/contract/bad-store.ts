/** As `good-store.ts`, with a store that has a fault. */
import { describe, it } from 'node:test'
import { storeContract } from 'onrush/testing'
import { LiveRecordStore } from '../stores/bad/live-record.ts'

storeContract({ describe, it }, { name: 'LiveRecordStore', store: () => new LiveRecordStore() })
