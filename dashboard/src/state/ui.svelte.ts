// What the reader chose, and the words and number formats that follow from it.

import { CATALOGUES, fill, type Key, type Language, LOCALES, type Parameters, preferredLanguage } from '../i18n/catalogue';
import { Format } from '../i18n/format';
import { type Choices, readChoices, writeChoices } from './url';

/** What the present view can hand out as a file. */
export interface Exports {
  csv?: (() => void | Promise<void>) | undefined;
  geojson?: (() => void | Promise<void>) | undefined;
  png?: (() => void | Promise<void>) | undefined;
}

class Ui {
  choices: Choices = $state(readChoices(location.search));
  exports: Exports = $state.raw({});
  /** The topic at which the methods are open. */
  topic: string | null = $state(null);
  searching = $state(false);
  #systemDark = $state(false);
  #page = this.choices.page;

  readonly lang: Language = $derived(this.choices.lang ?? preferredLanguage(navigator.languages));
  readonly dark: boolean = $derived(
    this.choices.theme === 'auto' ? this.#systemDark : this.choices.theme === 'dark',
  );
  /** The zone of the city, once history has told it. */
  zone: string | undefined = $state(undefined);
  readonly format: Format = $derived(new Format(this.lang, this.zone));

  constructor() {
    const query = matchMedia('(prefers-color-scheme: dark)');
    this.#systemDark = query.matches;
    query.addEventListener('change', (event) => (this.#systemDark = event.matches));
    addEventListener('popstate', () => {
      this.choices = readChoices(location.search);
      this.#page = this.choices.page;
    });
  }

  t = (key: Key, parameters?: Parameters): string => fill(CATALOGUES[this.lang][key], parameters);

  /** Goes to another view; "back" returns. */
  go(to: Partial<Choices>): void {
    this.choices = { ...this.choices, ...to };
  }

  /** The address of another view, for links that open in a tab of their own. */
  href(to: Partial<Choices>): string {
    return writeChoices({ ...this.choices, ...to }) || location.pathname;
  }

  /** Writes choices to the address and to the root element. A view of its own is a step of the history. */
  apply(): void {
    const search = writeChoices(this.choices);
    const turned = this.#page !== this.choices.page;
    this.#page = this.choices.page;
    if (search !== location.search) {
      if (turned) history.pushState(null, '', search || location.pathname);
      else history.replaceState(null, '', search || location.pathname);
    }
    const root = document.documentElement;
    root.lang = LOCALES[this.lang];
    if (this.choices.theme === 'auto') delete root.dataset.theme;
    else root.dataset.theme = this.choices.theme;
  }
}

export const ui = new Ui();
