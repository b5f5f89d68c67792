/** tap's test object, under one short name. */
declare namespace Tap {
  type Test = import('tap').Test
}
