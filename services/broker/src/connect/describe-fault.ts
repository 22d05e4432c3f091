import type { FaultTexts } from '@nexus/service'
import type { CredentialFault, CredentialField } from '../providers/credential-schema.ts'

/** What is wrong with a field, in the words of the page. */
export function describeFault(
  { rule, limit = 0 }: CredentialFault,
  field: CredentialField | undefined,
  texts: FaultTexts,
): string {
  switch (rule) {
    case 'required':
      return field?.options === undefined ? texts.missing : texts.choice
    case 'minLength':
      // one character at least is what a schema says that means "not empty"
      return limit === 1 ? texts.missing : texts.shorterThan(limit)
    case 'maxLength':
      return texts.longerThan(limit)
    case 'minimum':
      return texts.below(limit)
    case 'exclusiveMinimum':
      return texts.notAbove(limit)
    case 'maximum':
      return texts.above(limit)
    case 'exclusiveMaximum':
      return texts.notBelow(limit)
    case 'pattern':
      return texts.pattern
    case 'single_line':
      return texts.characters
    case 'header_value':
      return texts.plainCharacters
    case 'username_colon':
      return texts.colon
    case 'enum':
    case 'oneOf':
      return texts.choice
    case 'type':
      return field?.type === 'integer' ? texts.integer : field?.type === 'number' ? texts.number : texts.other
    default:
      return texts.other
  }
}
