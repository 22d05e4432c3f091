import { type SafeHtml, words } from './html.ts'

/** The situations a person can end in on `/auth/*`, on either service. */
export type PageKind =
  | 'invalid-link'
  | 'expired-link'
  | 'expired-page'
  | 'wrong-browser'
  | 'already-completed'
  | 'not-allowed'
  | 'declined'
  | 'other-account'
  | 'provider-problem'
  | 'sign-in-failed'
  | 'try-again-later'
  | 'completed'

export type PageText = {
  /** Of the browser's tab. */
  readonly title: string
  readonly heading: string
  /** What happened, in plain words. */
  readonly happened: string
  /** What the person can do now. */
  readonly next: string
  /** The same where a button below opens the connect link again. */
  readonly nextWithLink?: string
}

/** A name in a sentence: text, or text with markup around it. */
export type Name = string | SafeHtml

/** The pages on which a person connects an account. */
export type ConnectTexts = {
  /** Of the tab and the heading. */
  readonly connect: (provider: string) => string
  /** Stands for the app where its name is not known; begins a sentence. */
  readonly unnamedApp: string
  readonly asks: (app: Name, provider: Name) => SafeHtml
  readonly asksFor: (app: Name, provider: Name) => SafeHtml
  /** What happens with what is entered. */
  readonly usesEntered: (provider: Name) => SafeHtml
  readonly keepsEncrypted: string
  /** Before the sign-in at the provider. */
  readonly signInNext: (provider: Name) => SafeHtml
  readonly continueTo: (provider: Name) => SafeHtml
  readonly returnsTo: (host: Name) => SafeHtml
  readonly returnsNowhere: string
  readonly notYou: string
  readonly openAgain: string
  /** What scopes mean, where a standard says so; all others are shown as they are written. */
  readonly scopes: Readonly<Record<string, string>>
}

/** The form on which credentials are entered. */
export type FormTexts = {
  readonly submit: string
  readonly submitting: string
  readonly optional: string
  readonly chooseOne: string
  readonly chooseNone: string
  readonly show: string
  readonly showField: (label: string) => string
  readonly hide: string
  readonly hideField: (label: string) => string
  /** Stands before the title of a form that was refused. */
  readonly refusedTitle: (title: string) => string
  readonly refusedHeading: string
  readonly enterAgain: string
  readonly notAccepted: (provider: Name) => SafeHtml
  readonly notVerifiable: (provider: Name) => SafeHtml
  readonly faults: FaultTexts
}

/** What can be wrong with what was entered in a field. */
export type FaultTexts = {
  readonly missing: string
  readonly choice: string
  readonly number: string
  readonly integer: string
  readonly shorterThan: (characters: number) => string
  readonly longerThan: (characters: number) => string
  readonly below: (limit: number) => string
  readonly notAbove: (limit: number) => string
  readonly above: (limit: number) => string
  readonly notBelow: (limit: number) => string
  readonly pattern: string
  readonly characters: string
  readonly plainCharacters: string
  readonly colon: string
  readonly other: string
}

export type PageTexts = {
  readonly lang: string
  readonly dir: 'ltr' | 'rtl'
  /** Stands before the request id that support asks for. */
  readonly reference: string
  readonly pages: Readonly<Record<PageKind, PageText>>
  readonly connect: ConnectTexts
  readonly form: FormTexts
}

/**
 * Every word people read: a translation is another object of this type, in this file. All is plain text; the templates
 * escape it. Where names stand in a sentence it is a function, so that a language may put them where it needs them.
 */
export const englishTexts: PageTexts = {
  lang: 'en',
  dir: 'ltr',
  reference: 'Reference',
  pages: {
    'invalid-link': {
      title: 'Link not valid',
      heading: 'This link does not work',
      happened: 'The link is incomplete or was changed on its way. Nothing was connected.',
      next: 'Open the original link again, or go back to the app you came from and start over.',
    },
    'expired-link': {
      title: 'Link expired',
      heading: 'This link has expired',
      happened: 'For your safety, connect links work only for a limited time. Nothing was connected.',
      next: 'Go back to the app you came from and ask for a new link.',
    },
    'expired-page': {
      title: 'Page expired',
      heading: 'This page was open for too long',
      happened: 'For your safety, it works only for a limited time. Nothing was connected.',
      next: 'Open your connect link again, or go back to the app you came from and start over.',
      nextWithLink: 'Open the link again and go on from there.',
    },
    'wrong-browser': {
      title: 'Other browser',
      heading: 'This is not the browser you started in',
      happened:
        'This was started in another browser or window, or this browser blocks cookies. It happens when a link opens ' +
        'inside another app (mail, chat), or when the app of the other service takes over. Nothing was connected.',
      next:
        'Copy your connect link, open it in the browser you normally use, with cookies allowed, and finish there. ' +
        'If you no longer have the link, go back to the app you came from and ask for a new one.',
      nextWithLink:
        'Open the link again and finish in this browser, with cookies allowed. ' +
        'If that does not help, copy the link into the browser you normally use.',
    },
    'already-completed': {
      title: 'Already completed',
      heading: 'This link was already used',
      happened: 'Each link works once, whatever came of it.',
      next: 'You can close this window. If your account is not connected, go back to the app and start over.',
    },
    'not-allowed': {
      title: 'Not allowed',
      heading: 'This is not allowed from here',
      happened: 'The request was refused. Nothing was connected.',
      next: 'Go back to the app you came from. If it happens again, ask the people who run it.',
    },
    declined: {
      title: 'Not connected',
      heading: 'You did not allow the connection',
      happened: 'The other service told us that access was declined. Nothing was connected.',
      next: 'You can close this window. If you change your mind, go back to the app and start over.',
    },
    'other-account': {
      title: 'Another account',
      heading: 'This is another account',
      happened: 'You signed in with another account than the one that was connected before. Nothing was changed.',
      next: 'Go back to the app and start over, and sign in with the account that was connected before.',
    },
    'provider-problem': {
      title: 'Sign-in problem',
      heading: 'The other service could not complete the sign-in',
      happened: 'The service you wanted to connect did not answer as expected. Nothing was connected.',
      next: 'Wait a moment and open your connect link again. If it keeps failing, tell the people who run the app.',
    },
    'sign-in-failed': {
      title: 'Sign-in problem',
      heading: 'The other service could not complete the sign-in',
      happened: 'The service you wanted to connect did not answer as expected. Nothing was connected.',
      next: 'Go back to the app and start over. If it keeps failing, tell the people who run the app.',
    },
    'try-again-later': {
      title: 'Try again later',
      heading: 'This did not work just now',
      happened:
        'We could not finish your request. This is a problem on our side, or there were too many tries at once.',
      next: 'Wait a minute and try again. If it keeps failing, tell the people who run the app.',
    },
    completed: {
      title: 'Connected',
      heading: 'All done',
      happened: 'Your account is connected.',
      next: 'You can close this window and go back to the app.',
    },
  },
  connect: {
    connect: (provider) => `Connect ${provider}`,
    unnamedApp: 'The app you came from',
    asks: (app, provider) => words`${app} asks to use your ${provider} account.`,
    asksFor: (app, provider) => words`${app} asks to use your ${provider} account for:`,
    usesEntered: (provider) =>
      words`It will use what you enter here to work with ${provider} for you, until you disconnect it.`,
    keepsEncrypted: 'It is kept encrypted, and no page shows it again.',
    signInNext: (provider) => words`Next you sign in at ${provider} and decide there.`,
    continueTo: (provider) => words`Continue to ${provider}`,
    returnsTo: (host) => words`You will return to ${host}.`,
    returnsNowhere: 'When this is done, go back to the app.',
    notYou: 'If you did not start this, close this page.',
    openAgain: 'Open the link again',
    // OpenID Connect Core §3.1.2.1, §5.4, §11
    scopes: {
      openid: 'Know who you are',
      profile: 'See your name and profile',
      email: 'See your email address',
      address: 'See your postal address',
      phone: 'See your phone number',
      offline_access: 'Keep access while you are away',
    },
  },
  form: {
    submit: 'Connect',
    submitting: 'Connecting…',
    optional: 'optional',
    chooseOne: 'Choose one',
    chooseNone: 'None',
    show: 'Show',
    showField: (label) => `Show: ${label}`,
    hide: 'Hide',
    hideField: (label) => `Hide: ${label}`,
    refusedTitle: (title) => `Problem: ${title}`,
    refusedHeading: 'There is a problem',
    enterAgain: 'For your safety, nothing you typed was kept. Please enter it again.',
    notAccepted: (provider) => words`${provider} did not accept what you entered. Check it, then enter it again.`,
    notVerifiable: (provider) =>
      words`${provider} could not be asked whether this is right, so nothing was connected. Try again in a moment.`,
    faults: {
      missing: 'This is needed',
      choice: 'Choose one of the options',
      number: 'Enter a number, such as 12.5',
      integer: 'Enter a whole number, such as 12',
      shorterThan: (characters) => `This is too short: enter at least ${characters} characters`,
      longerThan: (characters) => `This is too long: enter at most ${characters} characters`,
      below: (limit) => `Enter ${limit} or more`,
      notAbove: (limit) => `Enter more than ${limit}`,
      above: (limit) => `Enter ${limit} or less`,
      notBelow: (limit) => `Enter less than ${limit}`,
      pattern: 'This does not look right: copy it once more, the whole of it and nothing else',
      characters: 'This contains line breaks or invisible characters: type it, or copy it once more',
      plainCharacters: 'This contains a character that no key has, such as a curly quote: copy it once more',
      colon: 'A user name cannot contain a colon',
      other: 'This was not accepted',
    },
  },
}
