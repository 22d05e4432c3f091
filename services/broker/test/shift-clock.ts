// Preloaded (`node --import`) into a process whose wall clock is to be wrong by CLOCK_SHIFT_MS; monotonic time is true.
const shift = Number(process.env['CLOCK_SHIFT_MS'] ?? '0')
const TrueDate = Date

globalThis.Date = new Proxy(TrueDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [TrueDate.now() + shift] : given, newTarget),
  apply: () => new TrueDate(TrueDate.now() + shift).toString(),
  get: (target, name, receiver) =>
    name === 'now' ? () => TrueDate.now() + shift : Reflect.get(target, name, receiver),
})
